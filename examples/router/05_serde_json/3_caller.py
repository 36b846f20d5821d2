"""Calls in JSON through a Router that refuses pickles.

In the third terminal:

    python 3_caller.py [port]

It prints:

    bill: {'total': 6.03, 'paid': False, 'note': None}
    from everybody: {'worker': {'total': 2.5, 'paid': False, 'note': None}}
    a result that is not JSON: SerializationError
    pickle: SerdeNotAllowed
"""

import sys

from daffi import Client, SerdeFormat
from daffi.exceptions import SerdeNotAllowed, SerializationError

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

with Client("caller", "127.0.0.1", PORT) as conn:
    conn.wait_for_function("bill", timeout=30)
    call = conn.rpc(timeout=5, serde=SerdeFormat.JSON)

    items = [{"name": "tea", "price": 2.5}, {"name": "cake", "price": 2.1, "amount": 2}]
    print("bill:", call.bill(items, discount=0.1))

    # Every style takes `serde`.
    print("from everybody:", conn.cast(serde="json").bill(items[:1]))

    try:
        call.broken()
    except SerializationError as error:  # here the function did run
        print("a result that is not JSON:", type(error).__name__)

    try:
        conn.rpc().bill(items)  # PICKLE is the default
    except SerdeNotAllowed as error:
        print("pickle:", type(error).__name__)

"""Sends Python objects as they are.

In the second terminal:

    python 2_client.py [port]

What is defined in the program that is run (`__main__`), and lambdas and closures, travel by
value: the other side needs no copy of this file. What comes from a module travels by name,
and the module must be installed over there.

It prints:

    closure: [3, 6, 9]
    dates: 2026-03-01
    total: 6.70
    8 MiB reversed: True
    not sent: SerializationError
"""

import sys
import threading
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from daffi import Client, SerdeFormat
from daffi.exceptions import SerializationError

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@dataclass
class Order:
    """Nobody but this program has this class."""

    prices: dict[str, Decimal]


with Client("scientist", "127.0.0.1", PORT) as conn:
    factor = 3
    print("closure:", conn.rpc().apply(lambda x: x * factor, [1, 2, 3]))

    # PICKLE is the default of every style but the streams. These two lines say the same.
    call = conn.rpc(serde=SerdeFormat.PICKLE)
    call = conn.rpc(serde="pickle")
    print("dates:", call.later(date(2026, 2, 22), timedelta(days=7)))
    print("total:", call.total(Order({"tea": Decimal("2.50"), "cake": Decimal("4.20")})))

    data = bytearray(range(256)) * (8 * 1024 * 1024 // 256)
    print("8 MiB reversed:", call.reverse(data) == data[::-1])

    try:
        call.apply(str, [threading.Lock()])
    except SerializationError as error:  # found before anything was sent
        print("not sent:", type(error).__name__)

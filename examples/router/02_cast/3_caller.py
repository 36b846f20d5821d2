"""Asks all workers at once.

In the last terminal, after starting three workers:

    python 2_worker.py 7700 berlin 10
    python 2_worker.py 7700 madrid -1
    python 2_worker.py 7700 warsaw 30 0.5

    python 3_caller.py [port]

It prints:

    berlin: 10
    madrid: failed (this shop is closed)
    warsaw: 30
    two of them: {'berlin': 10, 'warsaw': 30}
    in time: berlin, madrid
    price set: berlin, madrid, warsaw
"""

import sys

from daffi import Client
from daffi.exceptions import CallTimeout

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

with Client("headquarters", "127.0.0.1", PORT) as conn:
    conn.wait_for_members("berlin", "madrid", "warsaw", timeout=30)

    # One answer for each worker that offers the function. A worker whose callback raised, or
    # that died, has the exception as its value: one failure hides no other answer.
    for name, outcome in sorted(conn.cast(timeout=10).in_stock("tea").items()):
        failed = isinstance(outcome, RuntimeError)
        print(f"{name}: failed ({outcome})" if failed else f"{name}: {outcome}")

    # `receiver` is a name or a list of names. If one of them is not there, nobody is asked.
    some = conn.cast(receiver=["berlin", "warsaw"]).in_stock("tea")
    print("two of them:", dict(sorted(some.items())))

    # `timeout` is for the whole cast. What came in time is in `partial`.
    try:
        conn.cast(timeout=0.2).in_stock("tea")
    except CallTimeout as error:
        print("in time:", ", ".join(sorted(error.partial)))

    # To all, or to those named, without waiting; and to all, waiting for each.
    conn.cast_nowait().set_price("tea", 275)
    done = conn.cast(timeout=10).set_price("cake", cents=430)
    print("price set:", ", ".join(sorted(done)))

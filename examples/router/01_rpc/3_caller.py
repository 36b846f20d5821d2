"""A caller: a Client that calls what workers offer.

In the last terminal, with worker-1 and worker-2 running:

    python 3_caller.py [port]

Who runs a call is decided by the Router, in turn. With two workers and twenty calls it is ten
each, however many callers there are.

It prints:

    worker-1: 10 of 20
    worker-2: 10 of 20
    in order and complete: True
    pinned: worker-2 says 49
    no such worker: TransmissionFailure
    reports asked for
"""

import sys
from collections import Counter

from daffi import Client
from daffi.exceptions import TransmissionFailure

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

with Client("caller", "127.0.0.1", PORT) as conn:
    conn.wait_for_members("worker-1", "worker-2", timeout=30)

    call = conn.rpc(timeout=5)
    answers = [call.square(x) for x in range(20)]
    for name, times in sorted(Counter(name for name, _ in answers).items()):
        print(f"{name}: {times} of {len(answers)}")
    print("in order and complete:", [value for _, value in answers] == [x * x for x in range(20)])

    # Each worker has written down its share before it is given more.
    for name in ("worker-1", "worker-2"):
        conn.rpc_nowait(receiver=name).report()

    # `receiver` pins a call to one worker.
    name, value = conn.rpc(receiver="worker-2").square(7)
    print(f"pinned: {name} says {value}")

    try:
        conn.rpc(receiver="worker-9").square(7)
    except TransmissionFailure as error:  # its text lists who is there
        print("no such worker:", type(error).__name__)
    print("reports asked for")

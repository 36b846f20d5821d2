"""A caller with functions of its own.

In the third terminal:

    python 3_caller.py [port]

It prints:

    1 of 3
    copy b.old? no
    3 of 3
    copied: 2
    4 is for worker
    2 is for worker
    5 is odd: True
    6 hops in one chain, one thread on either side
"""

import sys

from daffi import Client, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

hops = 0


@callback
def progress(done: int, total: int) -> None:
    """Called by the worker, while this program waits for `copy_files`."""
    print(f"{done} of {total}", flush=True)


@callback
def confirm(question: str) -> bool:
    """Called by the worker, which waits for the answer."""
    print(f"{question} no", flush=True)
    return False


@callback
def even(n: int) -> bool:
    """Whether n is even: n - 1 must be odd, which the worker knows."""
    global hops
    hops += 2
    if n == 0:
        return True
    print(f"{n} is for worker", flush=True)
    return bool(conn.rpc().odd(n - 1))


with Client("client", "127.0.0.1", PORT) as conn:
    conn.wait_for_function("copy_files", timeout=30)
    print("copied:", conn.rpc(timeout=10).copy_files(["a.txt", "b.old", "c.txt"]))

    # Worker and client call each other six times deep. The timeout is inherited all the way.
    print("5 is odd:", conn.rpc(timeout=10).odd(5))
    print(hops, "hops in one chain, one thread on either side")

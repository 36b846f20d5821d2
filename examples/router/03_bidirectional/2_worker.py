"""A worker that calls its caller back while it works.

In the second terminal:

    python 2_worker.py [port]

`workers=1` is the default: one callback at a time. A thread that waits for a nested call runs
calls of the same chain meanwhile, so calling in a circle does not lock up.

It prints:

    ready: worker
    5 is for client
    3 is for client
    1 is for client
    stopped
"""

import sys

from daffi import Client, callback, current_call

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

worker = Client("worker", "127.0.0.1", PORT)
conn = worker.connect(wait=10)

# Functions may be registered at any time, and are announced at once. These come after the
# connection because they use it, and the first call may come at any moment.


@callback
def copy_files(names: list[str]) -> int:
    """Report progress to whoever called, and ask it what to do in doubt."""
    caller = conn.rpc(receiver=current_call().caller)
    copied = 0
    for number, name in enumerate(names, start=1):
        if name.endswith(".old") and not caller.confirm(f"copy {name}?"):
            continue
        copied += 1
        caller.progress(number, len(names))
    return copied


@callback
def odd(n: int) -> bool:
    """Whether n is odd: n - 1 must be even, which the client knows."""
    print(f"{n} is for client", flush=True)
    return bool(conn.rpc().even(n - 1))


print("ready: worker", flush=True)
worker.join()
print("stopped", flush=True)

"""A worker: a Client with callbacks.

In more terminals, as many as you like:

    python 2_worker.py [port] [name]

Workers that offer the same function share the work. Each has a name of its own: a second one
with the same name would take the place of the first.

It prints:

    ready: ...
    ... worked out 10 squares
    stopped
"""

import sys

from daffi import Client, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
NAME = sys.argv[2] if len(sys.argv) > 2 else "worker-1"

count = 0


@callback
def square(x: int) -> tuple[str, int]:
    """Square a number, and say who did it."""
    global count
    count += 1
    return NAME, x * x


@callback
def report() -> None:
    """Write a line on this terminal."""
    print(f"{NAME} worked out {count} squares", flush=True)


if __name__ == "__main__":
    worker = Client(NAME, "127.0.0.1", PORT)
    worker.connect(wait=10)
    print(f"ready: {NAME}", flush=True)
    worker.join()
    print("stopped", flush=True)

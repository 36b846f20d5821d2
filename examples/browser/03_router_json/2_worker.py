"""A worker. Start several, with names of their own.

    python 2_worker.py [port] [name]

It prints:

    ready: ...
    stopped
"""

import sys

from daffi import Client, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
NAME = sys.argv[2] if len(sys.argv) > 2 else "anna"


@callback
def work() -> str:
    """Say who did it."""
    return NAME


if __name__ == "__main__":
    worker = Client(NAME, "127.0.0.1", PORT)
    worker.connect(wait=10)
    print(f"ready: {NAME}", flush=True)
    worker.join()
    print("stopped", flush=True)

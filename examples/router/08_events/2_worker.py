"""A worker that can be sent home.

In the second terminal:

    python 2_worker.py [port]

`stop()` may be called from anywhere, from a callback too: it takes no new calls, finishes
those that run, and makes `join()` return.

It prints:

    ready: worker
    going home
    stopped
"""

import sys

from daffi import Client, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

worker = Client("worker", "127.0.0.1", PORT)


@callback
def go_home() -> str:
    """End this worker. The answer still reaches the caller."""
    print("going home", flush=True)
    worker.stop()
    return "bye"


if __name__ == "__main__":
    worker.connect(wait=10)
    print("ready: worker", flush=True)
    worker.join()
    print("stopped", flush=True)

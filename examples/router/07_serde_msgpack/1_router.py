"""A Router for MSGPACK: the format is a tag on the message, no more.

In the first terminal:

    python 1_router.py [port]

`balance="least_pending"` gives a call to the worker with the fewest calls under way, instead
of to the next in turn (`round_robin`, the default). It suits calls of very different length.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import sys

from daffi import Router

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

if __name__ == "__main__":
    router = Router("router", "127.0.0.1", PORT, balance="least_pending")
    router.start()
    print(f"ready on {router.host}:{router.port}", flush=True)
    router.join()
    print("stopped", flush=True)

"""A Router between pages and workers.

In the first terminal, and `serve.py` of the folder above in another:

    python 1_router.py [port]

Browsers, workers and callers all come to the same port.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import sys

from daffi import Router

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

if __name__ == "__main__":
    router = Router("router", "127.0.0.1", PORT)
    router.start()
    print(f"ready on {router.host}:{router.port}", flush=True)
    router.join()
    print("stopped", flush=True)

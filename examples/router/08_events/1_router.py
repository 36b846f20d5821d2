"""A Router that keeps a list of who comes and goes.

In the first terminal:

    python 1_router.py [port]

It prints:

    ready on 127.0.0.1:7700
    connected: worker, 1 here
    connected: caller, 2 here
    disconnected: worker, 1 here
    disconnected: caller, 0 here
    stopped
"""

import sys

from daffi import Router

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

here: set[str] = set()


def report(event: dict[str, str]) -> None:
    """One dict per event: its type, and the name of the member."""
    name = event["member"]
    if event["type"] == "connected":
        here.add(name)
    else:
        here.discard(name)
    print(f"{event['type']}: {name}, {len(here)} here", flush=True)


if __name__ == "__main__":
    router = Router("router", "127.0.0.1", PORT)
    router.add_event_handler(report)
    router.start()
    print(f"ready on {router.host}:{router.port}", flush=True)
    router.join()
    print("stopped", flush=True)

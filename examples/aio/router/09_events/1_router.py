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

import asyncio
import sys

from daffi.aio import AsyncRouter

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

here: set[str] = set()


async def report(event: dict[str, str]) -> None:
    """One dict per event: its type, and the name of the member. Runs on the loop."""
    name = event["member"]
    if event["type"] == "connected":
        here.add(name)
    else:
        here.discard(name)
    print(f"{event['type']}: {name}, {len(here)} here", flush=True)


async def main() -> None:
    router = AsyncRouter("router", "127.0.0.1", PORT)
    router.add_event_handler(report)
    async with router:
        print(f"ready on {router.host}:{router.port}", flush=True)
        await router.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

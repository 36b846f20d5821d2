"""A Service that hears who comes and who goes.

In the first terminal:

    python 1_service.py [port]

Handlers may be `async def`, or not; they run on the node's loop, one at a time, in the order in
which they were added. One that raises is logged and harms nothing.

It prints:

    ready on 127.0.0.1:7700
    connected: watcher
    connected: guest
    welcome, guest
    disconnected: guest
    disconnected: watcher
    stopped
"""

import asyncio
import sys

from daffi.aio import AsyncService

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

service = AsyncService("house", "127.0.0.1", PORT)


def report(event: dict[str, str]) -> None:
    """Every event, as a dict."""
    print(f"{event['type']}: {event['member']}", flush=True)


service.add_event_handler(report)


@service.on_member_added
async def welcome(name: str) -> None:
    """Only arrivals, with the bare name. `on_member_removed` is its counterpart."""
    if name == "guest":
        await asyncio.sleep(0.1)  # the next event waits until this is done
        print(f"welcome, {name}", flush=True)


async def main() -> None:
    async with service:
        print(f"ready on {service.host}:{service.port}", flush=True)
        await service.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

"""A worker that can be sent home.

In the second terminal:

    python 2_worker.py [port]

`stop()` may be called from anywhere, from a callback too, where it returns at once: the node
takes no new calls, finishes those that run, and makes `join()` return.

It prints:

    ready: worker
    going home
    stopped
"""

import asyncio
import sys

from daffi import callback
from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

worker = AsyncClient("worker", "127.0.0.1", PORT)


@callback
async def go_home() -> str:
    """End this worker. The answer still reaches the caller."""
    print("going home", flush=True)
    await worker.stop()
    return "bye"


async def main() -> None:
    await worker.connect(wait=10)
    print("ready: worker", flush=True)
    await worker.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

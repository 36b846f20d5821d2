"""A worker that waits for its Router.

In two terminals, before or after the others:

    python 2_worker.py [port] [name]

It prints:

    waiting for the Router
    ready: ...
    stopped
"""

import asyncio
import sys

from daffi import callback
from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
NAME = sys.argv[2] if len(sys.argv) > 2 else "left"


@callback
async def hand() -> str:
    """Say which one this is."""
    return NAME


async def main() -> None:
    worker = AsyncClient(NAME, "127.0.0.1", PORT)
    print("waiting for the Router", flush=True)
    # For a minute it keeps trying a Router that is not up yet. Once it has been connected, it
    # comes back by itself after every loss, for ever (`reconnect=True`).
    await worker.connect(wait=60)
    print(f"ready: {NAME}", flush=True)
    await worker.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

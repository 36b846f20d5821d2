"""A worker that can be told to be slow, or to fail.

In more terminals:

    python 2_worker.py [port] [name] [stock] [seconds]

It prints:

    ready: ...
    price of tea is now 275
    stocktaking begins
    stocktaking was called off
    stopped
"""

import asyncio
import sys

from daffi import callback
from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
NAME = sys.argv[2] if len(sys.argv) > 2 else "berlin"
STOCK = int(sys.argv[3]) if len(sys.argv) > 3 else 10
SECONDS = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0


@callback
async def in_stock(item: str) -> int:
    """How many there are in this shop."""
    await asyncio.sleep(SECONDS)
    if STOCK < 0:
        raise RuntimeError("this shop is closed")
    return STOCK


@callback
async def set_price(item: str, cents: int) -> None:
    """Every shop should hear of this."""
    print(f"price of {item} is now {cents}", flush=True)


@callback
async def take_stock() -> None:
    """Takes longer than anybody waits."""
    print("stocktaking begins", flush=True)
    try:
        await asyncio.sleep(600)
    finally:
        print("stocktaking was called off", flush=True)


async def main() -> None:
    worker = AsyncClient(NAME, "127.0.0.1", PORT)
    await worker.connect(wait=10)
    print(f"ready: {NAME}", flush=True)
    await worker.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

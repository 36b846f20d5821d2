"""PICKLE, the default format: any Python object, coroutine functions included.

In the first terminal:

    python 1_service.py [port]

This file knows neither the classes nor the functions that the client sends. Reading a pickle
can run any code, so a node reads one only from a peer that it trusts; on 127.0.0.1 that is
everybody on this machine.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from daffi import callback
from daffi.aio import AsyncService

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
async def run(function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """Await a coroutine function that came over the network."""
    return await function(*args)


@callback
async def total(order: Any) -> Any:
    """Uses an object whose class exists only at the client."""
    return sum(order.prices.values())


@callback
def reverse(data: bytearray) -> bytearray:
    """Large buffers travel beside the pickle, not inside it, and arrive writable."""
    data.reverse()
    return data


async def main() -> None:
    async with AsyncService("lab", "127.0.0.1", PORT) as service:
        print(f"ready on {service.host}:{service.port}", flush=True)
        await service.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

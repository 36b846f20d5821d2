"""A worker that runs whatever it is sent.

In the second terminal:

    python 2_worker.py [port]

That is what PICKLE means, and why it is only read from a peer that is trusted.

It prints:

    ready: worker
    stopped
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from daffi import callback
from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
async def run(function: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
    """A coroutine function that came over the network runs on this loop."""
    return await function(*args, **kwargs)


@callback
def work_out(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A plain function runs in a thread."""
    return function(*args, **kwargs)


async def main() -> None:
    worker = AsyncClient("worker", "127.0.0.1", PORT)
    await worker.connect(wait=10)
    print("ready: worker", flush=True)
    await worker.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

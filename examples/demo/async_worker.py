"""An asyncio worker of the demo: `python async_worker.py PORT NAME`.

It ends when its standard input does, so that it never outlives the demo.
"""

import asyncio
import os
import sys

from daffi import callback
from daffi.aio import AsyncClient

PORT, NAME = int(sys.argv[1]), sys.argv[2]

cancelled: list[int] = []


@callback
async def plus(a: int, b: int) -> int:
    """As small as work can be."""
    return a + b


@callback
async def nap(number: int, seconds: float) -> int:
    """Takes a while, and remembers if it was cancelled meanwhile."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        cancelled.append(number)
        raise
    return number


@callback
async def cancelled_naps() -> list[int]:
    """The numbers of those whose callers gave up."""
    return cancelled


async def main() -> None:
    worker = AsyncClient(NAME, "127.0.0.1", PORT, workers=1000)
    await worker.connect(wait=10)

    # Readable means ended: whoever started this has closed the pipe, or is gone.
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, ended.set)
    parent = asyncio.create_task(ended.wait())
    parent.add_done_callback(lambda _: asyncio.get_running_loop().remove_reader(0))

    print(os.getpid(), flush=True)
    served = asyncio.create_task(worker.join())
    await asyncio.wait([served, parent], return_when=asyncio.FIRST_COMPLETED)
    parent.cancel()
    await worker.stop()
    await served


asyncio.run(main())

"""A worker: an AsyncClient with callbacks.

In more terminals, as many as you like:

    python 2_worker.py [port] [name]

Workers that offer the same function share the work; a blocking `Client` may be one of them.
Each has a name of its own: a second one with the same name would take the place of the first.

It prints:

    ready: ...
    ... squared 10 numbers, at most 10 at once
    ... was too slow
    stopped
"""

import asyncio
import sys

from daffi import callback
from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
NAME = sys.argv[2] if len(sys.argv) > 2 else "worker-1"

count = running = most = 0


@callback
async def square(x: int) -> tuple[str, int]:
    """Take a while, and say who did it."""
    global count, running, most
    running += 1
    most = max(most, running)
    await asyncio.sleep(0.5)
    running -= 1
    count += 1
    return NAME, x * x


@callback
async def report() -> None:
    """Write a line on this terminal."""
    print(f"{NAME} squared {count} numbers, at most {most} at once", flush=True)


@callback
async def race(seconds: float) -> str:
    """Whoever calls this takes the first answer, and cancels the rest."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        print(f"{NAME} was too slow", flush=True)
        raise
    return NAME


async def main() -> None:
    worker = AsyncClient(NAME, "127.0.0.1", PORT)
    await worker.connect(wait=10)
    print(f"ready: {NAME}", flush=True)
    await worker.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

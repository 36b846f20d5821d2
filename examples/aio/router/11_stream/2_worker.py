"""A worker that takes in streams, a little slower than they could be made.

In two terminals:

    python 2_worker.py [port] [name]

It prints:

    ready: ...
    stopped
"""

import asyncio
import sys

from daffi import callback
from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
NAME = sys.argv[2] if len(sys.argv) > 2 else "anna"

words: list[str] = []


@callback
async def note(word: str) -> None:
    """One item. The next of the same stream comes when this one is done."""
    await asyncio.sleep(0.001)
    words.append(word)


@callback
async def noted() -> list[str]:
    """All that came so far."""
    return words


async def main() -> None:
    worker = AsyncClient(NAME, "127.0.0.1", PORT)
    await worker.connect(wait=10)
    print(f"ready: {NAME}", flush=True)
    await worker.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

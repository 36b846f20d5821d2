"""A worker for JSON.

In the second terminal:

    python 2_worker.py [port]

It prints:

    ready: worker
    stopped
"""

import asyncio
import sys
from typing import Any

from daffi import callback
from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
async def bill(items: list[dict[str, Any]], *, discount: float = 0.0) -> dict[str, Any]:
    """Lists, dicts, text, numbers, true, false and null: all that JSON has."""
    total = sum(item["price"] * item.get("amount", 1) for item in items)
    return {"total": round(total * (1 - discount), 2), "paid": False, "note": None}


@callback
async def broken() -> set[int]:
    """JSON has no sets: the result can't be written, and the caller is told."""
    return {1, 2, 3}


async def main() -> None:
    worker = AsyncClient("worker", "127.0.0.1", PORT)
    await worker.connect(wait=10)
    print("ready: worker", flush=True)
    await worker.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

"""A Service that takes in streams: one call of a callback for each item.

In the first terminal:

    python 1_service.py [port]

The items of one stream come one at a time and in order, so an `async def` callback may await
between them; different streams run side by side.

It prints:

    ready on 127.0.0.1:7700
    log: 3 lines
    stopped
"""

import asyncio
import hashlib
import sys
from typing import Any

from daffi import callback
from daffi.aio import AsyncService

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

digest = hashlib.sha256()
rows: list[dict[str, Any]] = []
lines: list[str] = []


@callback
async def upload(chunk: bytes) -> None:
    """Part of a file. What it returns goes nowhere; that it returned is the acknowledgement."""
    digest.update(chunk)


@callback
async def uploaded() -> str:
    """What arrived so far."""
    return digest.hexdigest()


@callback
async def insert(row: dict[str, Any]) -> None:
    """An exception ends the stream, and is raised at the caller."""
    await asyncio.sleep(0)
    if "id" not in row:
        raise ValueError(f"row {len(rows)} has no id")
    rows.append(row)


@callback
async def log(line: str) -> None:
    """An empty line ends the log."""
    if line:
        lines.append(line)
    else:
        print(f"log: {len(lines)} lines", flush=True)


async def main() -> None:
    async with AsyncService("archive", "127.0.0.1", PORT) as service:
        print(f"ready on {service.host}:{service.port}", flush=True)
        await service.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

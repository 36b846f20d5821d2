"""Sends more than fits into one call, from generators and async generators.

In the second terminal:

    python 2_client.py [port]

A stream takes from its generator no faster than the other side takes from it. When it fails, or
is cancelled, the generator is closed: its `finally` runs.

It prints:

    a file in 64 chunks: True
    the generator was closed after 3 rows
    the stream ended: row 2 has no id
    log sent
"""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from typing import Any

from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
CHUNK = b"x" * 16384


async def chunks(count: int) -> AsyncIterator[bytes]:
    """Made as they are sent, with whatever has to be awaited for them."""
    for _ in range(count):
        await asyncio.sleep(0)
        yield CHUNK


async def table() -> AsyncIterator[dict[str, Any]]:
    """The third row is bad."""
    sent = 0
    try:
        for row in ({"id": 0}, {"id": 1}, {"name": "no id"}, {"id": 3}):
            sent += 1
            yield row
    finally:
        print(f"the generator was closed after {sent} rows")


async def main() -> None:
    async with AsyncClient("sender", "127.0.0.1", PORT) as conn:
        # Each item is one call, acknowledged before the next is made. `timeout` is for each.
        await conn.stream(timeout=5).upload(chunks(64))
        whole = hashlib.sha256(CHUNK * 64).hexdigest()
        print("a file in 64 chunks:", await conn.rpc().uploaded() == whole)

        try:
            await conn.stream(serde="json").insert(table())
        except ValueError as error:
            print("the stream ended:", error)

        # Without acknowledgements: faster, and nobody says whether it worked. With the pipe full
        # it waits, so memory stays bounded. Not awaited, it goes on in the background; awaited,
        # it returns when all has been sent.
        await conn.stream_nowait().log(["one", "two", "three", ""])
        print("log sent")


asyncio.run(main())

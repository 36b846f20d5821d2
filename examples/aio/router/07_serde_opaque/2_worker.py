"""A worker that takes and gives raw bytes.

In the second terminal:

    python 2_worker.py [port]

It prints:

    ready: worker
    stopped
"""

import asyncio
import sys
import zlib

from daffi import callback
from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
async def echo(data: bytes) -> bytes:
    """There and back."""
    return data


@callback
def checksum(data: bytes) -> str:
    """A short answer to a long message; worked out in a thread."""
    return f"{zlib.crc32(data):08x}"


async def main() -> None:
    worker = AsyncClient("worker", "127.0.0.1", PORT)
    await worker.connect(wait=10)
    print("ready: worker", flush=True)
    await worker.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

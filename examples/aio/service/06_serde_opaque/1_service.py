"""OPAQUE: bytes in, bytes out, and nothing in between looks at them.

In the first terminal:

    python 1_service.py [port]

Compressing keeps a CPU busy, so it is no `async def`: it runs in a thread, and the loop goes on
answering the others.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import asyncio
import sys
import zlib

from daffi import callback
from daffi.aio import AsyncService

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
def compress(data: bytes) -> bytes:
    """Make it smaller."""
    return zlib.compress(data)


@callback
async def shout(text: str) -> str:
    """`str` arrives as `str`."""
    return text.upper()


async def main() -> None:
    async with AsyncService("press", "127.0.0.1", PORT) as service:
        print(f"ready on {service.host}:{service.port}", flush=True)
        await service.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

"""MSGPACK: as safe as JSON, smaller, and with room for bytes.

In the first terminal:

    python 1_service.py [port]

Encoding and decoding are built in; there is nothing to install.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import asyncio
import sys
from collections import Counter
from typing import Any

from daffi import callback
from daffi.aio import AsyncService

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
async def thumbnail(photo: dict[str, Any], size: int) -> dict[str, Any]:
    """Bytes inside a structure: what JSON can't carry."""
    return {"name": photo["name"], "pixels": photo["pixels"][:size]}


@callback
async def histogram(values: list[int]) -> dict[int, int]:
    """Keys that are numbers stay numbers."""
    return dict(sorted(Counter(values).items()))


async def main() -> None:
    async with AsyncService("studio", "127.0.0.1", PORT, allow_pickle=False) as service:
        print(f"ready on {service.host}:{service.port}", flush=True)
        await service.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

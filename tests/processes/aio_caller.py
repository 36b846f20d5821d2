"""Makes calls from asyncio and waits for them, until it is killed."""

from __future__ import annotations

import asyncio
import sys

from daffi.aio import AsyncClient


async def main(url: str, key: int) -> None:
    async with AsyncClient(url=url) as conn:
        calls = [
            conn.rpc().aio_stubborn(key),
            conn.cast().aio_stubborn(key),
            conn.stream(serde="json").aio_stubborn(iter([key])),
        ]
        print("ready")
        await asyncio.gather(*calls)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))

"""Sends large bytes through a Router, and small calls past them.

In the third terminal:

    python 3_caller.py [port]

It prints:

    a small call went past the large one: True
    64 MiB there and back: True
    a part of it: True
    20 MiB where 16 MiB are allowed: MessageTooLarge
"""

import asyncio
import sys
import zlib

from daffi.aio import AsyncClient
from daffi.exceptions import MessageTooLarge

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
MiB = 1024 * 1024

data = bytes(range(256)) * (64 * MiB // 256)


async def main() -> None:
    async with AsyncClient("caller", "127.0.0.1", PORT) as conn:
        await conn.wait_for_function("echo", timeout=30)
        call = conn.rpc(timeout=30, serde="opaque")

        # The loop is not held up while the large message is on its way, nor is the connection.
        large = asyncio.ensure_future(call.echo(data))
        await call.echo(b"small")
        print("a small call went past the large one:", not large.done())
        print("64 MiB there and back:", await large == data)

        # A memoryview names a part without copying it. It must not change until the call ended.
        part = memoryview(data)[10 * MiB : 20 * MiB]
        print("a part of it:", await call.checksum(part) == f"{zlib.crc32(part):08x}")

    # `max_message` (1 GiB by default) is checked before anything is sent.
    async with AsyncClient("modest", "127.0.0.1", PORT, max_message=16 * MiB) as conn:
        try:
            await conn.rpc(serde="opaque").echo(data[: 20 * MiB])
        except MessageTooLarge as error:
            print("20 MiB where 16 MiB are allowed:", type(error).__name__)


asyncio.run(main())

"""Sends bytes and text untouched.

In the second terminal:

    python 2_client.py [port]

Large bytes are sent from where they are, without a copy. So a `bytearray` must not be changed
until its call has ended.

It prints:

    4 pages became smaller: True
    meanwhile: GOOD MORNING
    two arguments: TypeError
"""

import asyncio
import sys
import zlib

from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    async with AsyncClient("printer", "127.0.0.1", PORT) as conn:
        call = conn.rpc(timeout=10, serde="opaque")

        pages = [bytearray(letter * 1_000_000) for letter in (b"a", b"b", b"c", b"d")]
        calls = [call.compress(page) for page in pages]  # all four are on their way
        greeting = await call.shout("Good morning")
        small = await asyncio.gather(*calls)
        print("4 pages became smaller:", [zlib.decompress(each) for each in small] == pages)
        print("meanwhile:", greeting)

        try:
            call.compress(b"a", b"b")  # exactly one argument; refused right here
        except TypeError as error:
            print("two arguments:", type(error).__name__)


asyncio.run(main())

"""Calls in MSGPACK.

In the second terminal:

    python 2_client.py [port]

It prints:

    thumbnails: sea b'\\x00\\x01\\x02', hill b'\\x07\\x08\\t'
    histogram: {1: 2, 5: 1, 9: 3}
    too large for 64 bits: SerializationError
"""

import asyncio
import sys

from daffi.aio import AsyncClient
from daffi.exceptions import SerializationError

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    async with AsyncClient("painter", "127.0.0.1", PORT) as conn:
        call = conn.rpc(timeout=5, serde="msgpack")

        photos = [
            {"name": "sea", "pixels": bytes(range(200))},
            {"name": "hill", "pixels": bytes(range(7, 90))},
        ]
        made = await asyncio.gather(*(call.thumbnail(photo, size=3) for photo in photos))
        print("thumbnails:", ", ".join(f"{each['name']} {each['pixels']}" for each in made))
        print("histogram:", await call.histogram([9, 1, 5, 9, 1, 9]))

        try:
            call.histogram([2**64])  # integers have 64 bits, as they do in JSON here
        except SerializationError as error:
            print("too large for 64 bits:", type(error).__name__)


asyncio.run(main())

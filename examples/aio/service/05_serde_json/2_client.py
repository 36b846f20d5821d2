"""Calls in JSON, and what JSON can't say.

In the second terminal:

    python 2_client.py [port]

It prints:

    formats: JSON, MSGPACK, JSON
    a dict: {'type': 'dict', 'value': {'name': 'Ada', 'age': 36}, 'depth': 2}
    a tuple: {'type': 'list', 'value': [1, 2, 3], 'depth': 1}
    not JSON: nan
    not JSON: bytes
    pickle refused: SerdeNotAllowed
"""

import asyncio
import sys

from daffi import SerdeFormat
from daffi.aio import AsyncClient
from daffi.exceptions import SerdeNotAllowed, SerializationError

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    async with AsyncClient("clerk", "127.0.0.1", PORT) as conn:
        # The format is named per call, by its member or by its name.
        formats: list[SerdeFormat | str] = [SerdeFormat.JSON, "msgpack", "json"]
        used = await asyncio.gather(*(conn.rpc(serde=each).which_format() for each in formats))
        print("formats:", ", ".join(used))

        call = conn.rpc(timeout=5, serde="json")
        print("a dict:", await call.describe({"name": "Ada", "age": 36}, depth=2))
        print("a tuple:", await call.describe((1, 2, 3)))

        # What has no place in JSON is an error of the call itself; nothing is sent.
        for what, value in {"nan": [1.0, float("nan")], "bytes": {"photo": b"\xff\xd8"}}.items():
            try:
                call.describe(value)
            except SerializationError:
                print("not JSON:", what)

        try:
            await conn.rpc(serde="pickle").describe("hello")
        except SerdeNotAllowed as error:
            print("pickle refused:", type(error).__name__)


asyncio.run(main())

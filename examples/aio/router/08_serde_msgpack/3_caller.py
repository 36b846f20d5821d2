"""Numbers as keys, bytes as values: calls in MSGPACK through a Router.

In the last terminal, with the workers north and south running:

    python 3_caller.py [port]

It prints:

    bytes that came: 0, 3, 0
    north: {1: 20.0, 2: 5.5}
    south: {7: -3.0}
"""

import asyncio
import sys

from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    async with AsyncClient("station", "127.0.0.1", PORT) as conn:
        await conn.wait_for_members("north", "south", timeout=30)

        north = conn.rpc(receiver="north", serde="msgpack")
        south = conn.rpc(receiver="south", serde="msgpack")
        came = await asyncio.gather(
            north.record(1, [19.0, 21.0]),
            north.record(2, [5.5], raw=b"\x01\x02\x03"),
            south.record(7, [-3.0]),
        )
        print("bytes that came:", ", ".join(map(str, came)))

        for name, averages in sorted((await conn.cast(serde="msgpack").averages()).items()):
            print(f"{name}: {averages}")


asyncio.run(main())

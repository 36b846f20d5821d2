"""A Client that hears the same: who is there already, who comes, who goes.

In the second terminal:

    python 2_client.py [port]

It prints:

    connected: house
    connected: guest
    members: guest, house, watcher
    gone: guest
"""

import asyncio
import sys

from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    arrived: asyncio.Queue[str] = asyncio.Queue()
    left: asyncio.Queue[str] = asyncio.Queue()

    watcher = AsyncClient("watcher", "127.0.0.1", PORT)
    watcher.on_member_added(arrived.put)  # a coroutine function: it is awaited
    watcher.on_member_removed(left.put)
    async with watcher:
        # A new Client first hears of everybody who is there already, the server included.
        print("connected:", await arrived.get())

        async with AsyncClient("guest", "127.0.0.1", PORT):
            print("connected:", await arrived.get())
            members = await watcher.members()
            print("members:", ", ".join(sorted(member.name for member in members)))
        print("gone:", await left.get())


asyncio.run(main())

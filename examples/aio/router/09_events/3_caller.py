"""A caller that watches the others.

In the third terminal:

    python 3_caller.py [port]

It prints:

    here already: router, worker
    and they offer: go_home
    worker says: bye
    gone: worker
    members now: caller
"""

import asyncio
import sys

from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    came: asyncio.Queue[str] = asyncio.Queue()
    went: asyncio.Queue[str] = asyncio.Queue()

    client = AsyncClient("caller", "127.0.0.1", PORT)
    client.on_member_added(came.put_nowait)  # a plain function will do as well

    @client.on_member_removed
    async def removed(name: str) -> None:
        """Also called for the Router itself, should the connection to it be lost."""
        await went.put(name)

    async with client as conn:
        # Everybody who is there already counts as an arrival, the Router included.
        print("here already:", ", ".join(sorted([await came.get(), await came.get()])))
        offered = [function for member in await conn.members() for function in member.functions]
        print("and they offer:", ", ".join(offered))

        print("worker says:", await conn.rpc(timeout=10).go_home())
        print("gone:", await went.get())
        print("members now:", ", ".join(sorted(m.name for m in await conn.members())))


asyncio.run(main())

"""Streams from async generators to two workers at once.

In the last terminal, with the workers anna and ben running:

    python 3_caller.py [port]

A stream picks its worker once and stays there. Its generator is asked for an item when the one
before has run: it never gets ahead of its worker.

It prints:

    one each: 100 and 100
    in order: True
    one by one: hello, world
    the generator of the endless one is closed
    stopped in the middle
"""

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator

from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def count(to: int) -> AsyncIterator[str]:
    """Text travels as it is: streams are OPAQUE unless `serde` says otherwise."""
    for number in range(to):
        yield str(number)


async def endless() -> AsyncIterator[str]:
    """Until it is closed."""
    try:
        for number in itertools.count():
            yield str(number)
    finally:
        print("the generator of the endless one is closed")


async def main() -> None:
    async with AsyncClient("caller", "127.0.0.1", PORT) as conn:
        await conn.wait_for_members("anna", "ben", timeout=30)

        # Two streams without `receiver`: dealt out in turn, as calls are.
        await asyncio.gather(conn.stream().note(count(100)), conn.stream().note(count(100)))
        noted = await conn.cast(timeout=5).noted()
        print("one each:", " and ".join(str(len(words)) for words in noted.values()))
        print("in order:", all(words == [str(n) for n in range(100)] for words in noted.values()))

        # A kept proxy takes chunks one by one, and goes to the same worker each time.
        pipe = conn.stream(receiver="anna")
        await pipe.note("hello")
        await pipe.note("world")
        print("one by one:", ", ".join((await conn.rpc(receiver="anna").noted())[-2:]))

        stream = asyncio.ensure_future(conn.stream(receiver="ben").note(endless()))
        while len(await conn.rpc(receiver="ben").noted()) < 200:
            await asyncio.sleep(0.01)
        stream.cancel()
        await asyncio.wait([stream])
        print("stopped in the middle")


asyncio.run(main())

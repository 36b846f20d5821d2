"""Sends its own functions, classes and exceptions to a worker that has none of them.

In the third terminal:

    python 3_caller.py [port]

It prints:

    a point: Point(x=4, y=6)
    of the same class: True
    in another process: True
    caught: OutOfRange with limit 10
    told by: worker
"""

import asyncio
import os
import sys
from dataclasses import dataclass

from daffi.aio import AsyncClient
from daffi.exceptions import RemoteCallError

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@dataclass(frozen=True)
class Point:
    """Known to this program alone."""

    x: int
    y: int


class OutOfRange(Exception):
    """An exception can carry more than a text."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


async def add(a: Point, b: Point) -> Point:
    """Runs at the worker, on its loop, with the classes that it needs."""
    await asyncio.sleep(0)
    return Point(a.x + b.x, a.y + b.y)


async def check(value: int, *, limit: int) -> int:
    """Raises at the worker."""
    if value > limit:
        raise OutOfRange(limit)
    return value


async def main() -> None:
    async with AsyncClient("caller", "127.0.0.1", PORT) as conn:
        await conn.wait_for_function("run", timeout=30)
        call = conn.rpc(timeout=10)

        point, process = await asyncio.gather(
            call.run(add, Point(1, 2), Point(3, 4)), call.work_out(os.getpid)
        )
        print("a point:", point)
        print("of the same class:", point == Point(4, 6))
        print("in another process:", process != os.getpid())

        # An exception of one's own comes back as itself, and as a RemoteCallError.
        try:
            await call.run(check, 11, limit=10)
        except OutOfRange as error:
            print("caught: OutOfRange with limit", error.limit)
        (raised,) = await asyncio.gather(call.run(check, 11, limit=10), return_exceptions=True)
        if isinstance(raised, RemoteCallError):
            print("told by:", raised.worker)


asyncio.run(main())

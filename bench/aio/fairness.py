"""What one caller's load does to others: large beside small, busy beside quiet.

Lives here: scenarios whose figure is a proportion of two latencies that were taken in the same
run. Imports `bench.children`, `calling`, `loops`, `pace` and `bench.talk`.
"""

import asyncio
import sys
import time
from typing import Any

from bench import talk
from bench.aio import loops, pace
from bench.aio.calling import connections, crowd, say
from bench.aio.loops import Order
from bench.children import Household
from daffi import SerdeFormat

ENOUGH = 1000  # latencies behind a p99
LONGEST = 20.0


def bulk(order: Order) -> None:
    """p99 of small calls while a large one passes on their connection, by their p99 alone."""
    loops.run(order, _bulk)


async def _bulk(order: Order) -> None:
    async with connections(order) as conns:
        works = crowd(order, conns)
        value = b"x" * order["size"]
        await pace.warm_up(works, order["seconds"])
        # Memory that the machine never used before is slow, the first time.
        await _pass(conns[0], order["way"], value)
        alone = await pace.latencies(works, pace.for_seconds(order["seconds"]))
        beside: list[float] = []
        end = time.perf_counter() + LONGEST
        while len(beside) < ENOUGH and time.perf_counter() < end:
            passing = asyncio.ensure_future(_pass(conns[0], order["way"], value))
            beside += await _beside(works, passing)
        say(pace.p99(beside) / pace.p99(alone))


async def _beside(works: list[pace.Work], passing: asyncio.Future[None]) -> list[float]:
    taken = await pace.latencies(works, lambda: not passing.done())
    await passing
    return taken


async def _pass(conn: Any, way: str, value: bytes) -> None:
    if way == "there":
        await conn.rpc(timeout=60, serde=SerdeFormat.OPAQUE).take(value)
    else:
        answer = await conn.rpc(timeout=60, serde=SerdeFormat.OPAQUE).give(str(len(value)))
        if len(answer) != len(value):
            raise AssertionError(f"{len(answer)} bytes came")


def quiet(order: Order) -> None:
    """p99 of who makes one call at a time, by the p99 of who has many in flight meanwhile.

    The busy one is a process of its own on another connection to the same server.
    """
    loops.run(order, _quiet)


async def _quiet(order: Order) -> None:
    with Household() as house:
        busy = house.start(sys.executable, "bench.aio.fairness:busy", order)
        busy.hear(LONGEST)
        async with connections({**order, "name": "quiet"}) as conns:
            works = crowd({**order, "flying": 1}, conns)
            await pace.warm_up(works, order["seconds"])
            mine = await pace.latencies(works, pace.for_seconds(order["seconds"]))
        busy.say("enough")
        theirs = await asyncio.to_thread(busy.hear, LONGEST)
        say(pace.p99(mine) / theirs["p99"])


def busy(order: Order) -> None:
    """Many calls in flight until the word comes; then their p99 is said."""
    loops.run(order, _busy)


async def _busy(order: Order) -> None:
    async with connections({**order, "name": "busy"}) as conns:
        works = crowd(order, conns)
        await pace.warm_up(works, order["seconds"])
        talk.say(ready=True)
        word = asyncio.ensure_future(asyncio.to_thread(talk.hear))
        taken = await pace.latencies(works, lambda: not word.done())
        talk.say(p99=pace.p99(taken))

"""What grows with numbers: connections, members, functions, calls in flight.

Lives here: the scenarios behind the curves, and a node that does nothing. Imports
`bench.cost`, `bench.talk`, `calling`, `loops` and `pace`.
"""

import asyncio
import os
import time
from collections.abc import Awaitable
from itertools import cycle

from bench import cost
from bench.aio import loops, pace
from bench.aio.calling import connections, say
from bench.aio.loops import Order

KIB = 1024
SETTLED = 1.0  # seconds that a new connection is not idle yet


def rotating(order: Order) -> None:
    """Microseconds for each call, the next call always on the next connection."""
    loops.run(order, _rotating)


async def _rotating(order: Order) -> None:
    async with connections(order) as conns:
        turn = cycle(conns)

        def call() -> Awaitable[object]:
            answer: Awaitable[object] = next(turn).rpc(timeout=60).add(1, 2)
            return answer

        await _time(order, call)


def functions(order: Order) -> None:
    """Microseconds for each call, the next call always of the next function."""
    loops.run(order, _functions)


async def _functions(order: Order) -> None:
    async with connections(order) as (conn,):
        turn = cycle([f"add_{number}" for number in range(order["functions"])])

        def call() -> Awaitable[object]:
            answer: Awaitable[object] = getattr(conn.rpc(timeout=60), next(turn))(1, 2)
            return answer

        await _time(order, call)


def one_member(order: Order) -> None:
    """Microseconds for each call of the same one of many members."""
    loops.run(order, _one_member)


async def _one_member(order: Order) -> None:
    async with connections(order) as (conn,):
        name = order["workers"][0]
        await _time(order, lambda: conn.rpc(timeout=60, receiver=name).add(1, 2))


async def _time(order: Order, call: pace.Work) -> None:
    run = await pace.repeat([call] * order["flying"], order)
    say(1e6 / run.rate, run)


def memory_in_flight(order: Order) -> None:
    """KiB of caller and server together for each call that is not answered yet."""
    loops.run(order, _memory_in_flight)


async def _memory_in_flight(order: Order) -> None:
    pids = [os.getpid(), *(pid for pids in order["pids"].values() for pid in pids)]
    async with connections(order) as (conn,):

        async def grown(calls: int) -> int:
            before = cost.resident(*pids)
            waiting = [asyncio.ensure_future(conn.rpc(timeout=60).park()) for _ in range(calls)]
            await conn.members()  # what could be sent is there, once this has been answered
            growth = cost.resident(*pids) - before
            for call in waiting:
                call.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            return growth

        await grown(order["calls"] // 10)
        say(await grown(order["calls"]) / order["calls"] / KIB)


def memory_of_connections(order: Order) -> None:
    """KiB of the server for each idle connection, past the first tenth."""
    loops.run(order, _memory_of_connections)


async def _memory_of_connections(order: Order) -> None:
    (server,) = order["pids"]["server"]
    number = order["connections"]
    async with connections({**order, "connections": number // 10, "name": "early"}):
        before = cost.resident(server)
        async with connections(order):
            say((cost.resident(server) - before) / number / KIB)


def idle(order: Order) -> None:
    """Percent of a CPU that a server uses while its connections do nothing."""
    loops.run(order, _idle)


async def _idle(order: Order) -> None:
    (server,) = order["pids"]["server"]
    async with connections(order):
        await asyncio.sleep(SETTLED)
        start, before = time.perf_counter(), cost.cpu_seconds(server)
        await asyncio.sleep(order["watch"])
        used = cost.cpu_seconds(server) - before
        say(100 * used / (time.perf_counter() - start))

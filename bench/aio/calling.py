"""The asyncio scenarios: what a caller does, one function each.

Lives here: the measured code, the same source for both versions of daffi. Each function
gets its order, and says one `value` in the unit of its row. Imports `held`, `loops`, `pace`,
`nodes` and `talk`; never `callbacks`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

import daffi
from bench import talk
from bench.aio import held, loops, pace
from bench.aio.loops import Order
from bench.nodes import PATIENCE
from bench.pace import Run
from daffi.aio import AsyncClient


def say(value: float, run: Run | None = None) -> None:
    """Tell the parent the figure."""
    talk.figure(value, f"daffi {daffi.__version__}", run.cpu if run else None)


@asynccontextmanager
async def connections(order: Order) -> AsyncIterator[list[Any]]:
    """As many clients as the order says, once the workers that it names are there."""
    clients, conns = [], []
    try:
        for number in range(order.get("connections", 1)):
            client = AsyncClient(f"{order.get('name') or 'caller'}-{number}", **order["address"])
            clients.append(client)
            conns.append(await client.connect())
        if order["workers"]:
            for conn in conns:
                await conn.wait_for_members(*order["workers"], timeout=PATIENCE, interval=0.05)
        yield conns
    finally:
        for client in clients:
            await client.stop()


def crowd(order: Order, conns: Sequence[Any]) -> list[pace.Work]:
    """What each of those in flight does, spread over the connections."""

    def work(conn: Any) -> pace.Work:
        def call() -> Awaitable[object]:
            answer: Awaitable[object] = conn.rpc(timeout=30).add(1, 2)
            return answer

        return call

    return [work(conns[number % len(conns)]) for number in range(order["flying"])]


def add(order: Order) -> None:
    """Small calls, so many in flight on so many connections, per second."""
    loops.run(order, _add)


async def _add(order: Order) -> None:
    async with connections(order) as conns:
        run = await pace.repeat(crowd(order, conns), order)
        say(run.rate, run)


def p99(order: Order) -> None:
    """Milliseconds within which 99 of a hundred calls are answered."""
    loops.run(order, _p99)


async def _p99(order: Order) -> None:
    async with connections(order) as conns:
        works = crowd(order, conns)
        await pace.warm_up(works, order["seconds"])
        taken = await pace.latencies(works, pace.for_seconds(order["seconds"]))
        say(pace.p99(taken) * 1e3)


def at_once(order: Order) -> None:
    """Seconds until all of many calls are answered that were made at once: the median."""
    loops.run(order, _at_once)


async def _at_once(order: Order) -> None:
    times: list[float] = []
    clock = time.perf_counter
    async with connections(order) as (conn,):
        await _burst(conn, order["calls"] // 10)
        end = clock() + order["seconds"]
        while clock() < end or not times:
            start = clock()
            await _burst(conn, order["calls"])
            times.append(clock() - start)
        say(median(times))


async def _burst(conn: Any, calls: int) -> None:
    got = await asyncio.gather(*(conn.rpc(timeout=30).add(number, 1) for number in range(calls)))
    if got != list(range(1, calls + 1)):
        raise AssertionError("an answer went to another call")


def hold(order: Order) -> None:
    """Milliseconds that daffi held the caller's loop at a stretch, the longest."""
    watch = held.Watch(held.own_time() if order["own_time"] else time.perf_counter)
    loops.run(order, lambda _: _hold(order, watch), held.watched(loops.kind(order), watch))


async def _hold(order: Order, watch: held.Watch) -> None:
    async with connections(order) as conns:
        works = crowd(order, conns)
        await pace.warm_up(works, order["seconds"])
        watch.longest = 0.0
        await pace.while_true(works, pace.for_seconds(order["seconds"]))
        say(watch.longest * 1e3)

"""Counting awaited work against the clock.

Lives here: the loops that the asyncio scenarios are timed with, the same for both sides.
Imports `bench.cost` and `bench.pace`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from bench.cost import Meter
from bench.pace import Order, Run

Work = Callable[[], Awaitable[object]]


async def warm_up(crowd: Sequence[Work], seconds: float) -> None:
    """Work for a quarter of the time, at most 0.2 s, uncounted."""
    await while_true(crowd, for_seconds(min(0.2, seconds / 4)))


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Whether so much time has not passed yet, from now on."""
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() < end


async def while_true(crowd: Sequence[Work], more: Callable[[], bool]) -> int:
    """The members of a crowd work, all at once, each one after another; how often in all.

    Each asks after every turn whether there is to be another.
    """
    done = 0

    async def one(work: Work) -> None:
        nonlocal done
        while True:
            await work()
            done += 1
            if not more():
                return

    await asyncio.gather(*map(one, crowd))
    return done


async def repeat(crowd: Sequence[Work], order: Order) -> Run:
    """The crowd works for as long as the order says, after a warm-up.

    Counted from the first start to the last end.
    """
    await warm_up(crowd, order["seconds"])
    meter = Meter(order)
    start = time.perf_counter()
    done = await while_true(crowd, for_seconds(order["seconds"]))
    return Run(done, time.perf_counter() - start, meter.spent())


async def latencies(crowd: Sequence[Work], more: Callable[[], bool]) -> list[float]:
    """Seconds that each turn of work took."""
    clock = time.perf_counter
    taken: list[float] = []

    def timed(work: Work) -> Work:
        async def turn() -> None:
            start = clock()
            await work()
            taken.append(clock() - start)

        return turn

    await while_true([timed(work) for work in crowd], more)
    return taken


def p99(taken: Sequence[float]) -> float:
    """What 99 of a hundred stay within."""
    return sorted(taken)[int(len(taken) * 0.99)]

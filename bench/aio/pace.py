"""Counting awaited work against the clock.

Lives here: the loops that the asyncio scenarios are timed with, the same for both sides.
Imports nothing of ours.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

Work = Callable[[], Awaitable[object]]


async def warm_up(crowd: Sequence[Work], seconds: float) -> None:
    """Work for a quarter of the time, at most 0.2 s, uncounted."""
    await count(crowd, min(0.2, seconds / 4))


async def count(crowd: Sequence[Work], seconds: float) -> float:
    """How often a second the members of a crowd work, all at once, each one after another.

    Counted from the first start to the last end.
    """
    clock = time.perf_counter
    done = 0
    start = clock()
    end = start + seconds

    async def one(work: Work) -> None:
        nonlocal done
        while True:
            await work()
            done += 1
            if clock() >= end:
                return

    await asyncio.gather(*map(one, crowd))
    return done / (clock() - start)


async def per_second(crowd: Sequence[Work], seconds: float) -> float:
    """How often a second the crowd works, after a warm-up."""
    await warm_up(crowd, seconds)
    return await count(crowd, seconds)


async def latencies(crowd: Sequence[Work], seconds: float) -> list[float]:
    """Seconds that each turn of work took, after a warm-up."""
    await warm_up(crowd, seconds)
    clock = time.perf_counter
    taken: list[float] = []

    def timed(work: Work) -> Work:
        async def turn() -> None:
            start = clock()
            await work()
            taken.append(clock() - start)

        return turn

    await count([timed(work) for work in crowd], seconds)
    return taken

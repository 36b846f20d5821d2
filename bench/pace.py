"""Counting work against the clock.

Lives here: the loops that every scenario is timed with, the same for all sides and for the
floor. Imports `cost`.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from bench.cost import Meter, Spent

GIB = 1 << 30
Order = dict[str, Any]


class Run(NamedTuple):
    """What was done in which time, and the CPU seconds of all who took part."""

    done: int
    seconds: float
    spent: Spent

    @property
    def rate(self) -> float:
        """How often a second."""
        return self.done / self.seconds

    @property
    def cpu(self) -> Spent:
        """Microseconds of CPU for each time, by role."""
        return {role: spent * 1e6 / self.done for role, spent in self.spent.items()}


def warm_up(work: Callable[[], object], seconds: float) -> None:
    """Work for a quarter of the time, at most 0.2 s, uncounted; at least once."""
    end = time.perf_counter() + min(0.2, seconds / 4)
    while True:
        work()
        if time.perf_counter() >= end:
            return


def count(work: Callable[[], object], seconds: float) -> tuple[int, float, float]:
    """Work for so long: how often it ran, when it started, when it ended."""
    clock = time.perf_counter
    start = clock()
    end = start + seconds
    done = 0
    while True:
        work()
        done += 1
        now = clock()
        if now >= end:
            return done, start, now


def repeat(work: Callable[[], object], order: Order) -> Run:
    """Work one time after another for as long as the order says, after a warm-up."""
    warm_up(work, order["seconds"])
    meter = Meter(order)
    done, start, end = count(work, order["seconds"])
    return Run(done, end - start, meter.spent())


def repeat_threads(work: Callable[[], object], order: Order) -> Run:
    """The same from several threads at once, all together.

    Counted from the first start to the last end, so that a starved thread counts against us.
    """
    meter = Meter(order)
    line = threading.Barrier(order["threads"], action=meter.start)

    def one() -> tuple[int, float, float]:
        warm_up(work, order["seconds"])
        line.wait(60)
        return count(work, order["seconds"])

    with ThreadPoolExecutor(order["threads"]) as pool:
        running = [pool.submit(one) for _ in range(order["threads"])]
        counts = [each.result() for each in running]
    start = min(start for _, start, _ in counts)
    end = max(end for _, _, end in counts)
    return Run(sum(done for done, _, _ in counts), end - start, meter.spent())


def bursts(burst: Callable[[int], object], order: Order) -> Run:
    """Items, where `burst(n)` ends once all its `n` items have arrived."""
    size = order["burst"]
    burst(max(1, size // 10))
    meter = Meter(order)
    done, start, end = count(lambda: burst(size), order["seconds"])
    return Run(size * done, end - start, meter.spent())


def gibibytes(run: Run, size: int) -> float:
    """GiB/s, there and back together, of so many round trips of `size` bytes."""
    return 2 * run.rate * size / GIB

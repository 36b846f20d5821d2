"""Counting work against the clock.

Lives here: the loops that every scenario is timed with, the same for both sides and for the
floor. Imports nothing of ours.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

GIB = 1 << 30


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


def per_second(work: Callable[[], object], seconds: float) -> float:
    """How often `work` runs in a second, one after another, after a warm-up."""
    warm_up(work, seconds)
    done, start, end = count(work, seconds)
    return done / (end - start)


def per_second_threads(work: Callable[[], object], seconds: float, threads: int) -> float:
    """How often `work` runs in a second from several threads at once, all together.

    Counted from the first start to the last end, so that a starved thread counts against us.
    """
    line = threading.Barrier(threads)

    def one() -> tuple[int, float, float]:
        warm_up(work, seconds)
        line.wait(60)
        return count(work, seconds)

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(one) for _ in range(threads)]
        counts = [each.result() for each in running]
    start = min(start for _, start, _ in counts)
    end = max(end for _, _, end in counts)
    return sum(done for done, _, _ in counts) / (end - start)


def bursts(burst: Callable[[int], object], size: int, seconds: float) -> float:
    """Items per second, where `burst(n)` ends once all its `n` items have arrived."""
    burst(max(1, size // 10))
    done, start, end = count(lambda: burst(size), seconds)
    return size * done / (end - start)


def gibibytes(trips: float, size: int) -> float:
    """GiB/s, there and back together, of so many round trips of `size` bytes."""
    return 2 * trips * size / GIB

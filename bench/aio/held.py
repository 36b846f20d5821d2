"""How long daffi holds an event loop at a stretch.

Lives here: a loop that takes the time of what daffi asks it to run. A task that is woken runs
inside such a stretch, up to its next wait, and counts. Also here: a clock that leaves out what
other programs do to us. Imports nothing of ours.
"""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any


def own_time() -> Callable[[], float]:
    """A clock that stands still while this thread is ready to run and no CPU is free.

    It goes on while the thread waits for a lock, the GIL too. Only Linux tells how long a
    thread waited for a CPU; elsewhere this is the usual clock.
    """
    try:
        file = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    except OSError:
        return time.perf_counter

    def waited() -> int:
        return int(os.pread(file, 100, 0).split()[1])

    def clock() -> float:
        before = waited()
        while True:
            now = time.perf_counter()
            after = waited()
            if after == before:
                return now - after / 1e9
            before = after

    return clock


class Watch:
    """The longest stretch so far, in seconds of one clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.longest = 0.0

    def timed(self, callback: Callable[..., object]) -> Callable[..., object]:
        """The same callback, timed if it is daffi's."""
        owner = getattr(callback, "__self__", callback)
        if not type(owner).__module__.startswith("daffi"):
            return callback

        def run(*args: Any) -> None:
            start = self.clock()
            try:
                callback(*args)
            finally:
                self.longest = max(self.longest, self.clock() - start)

        return run


def watched(kind: type[Any], watch: Watch) -> asyncio.AbstractEventLoop:
    """A loop of that kind under a watch."""

    # The base is chosen while the program runs, which mypy can't follow.
    class Watched(kind):  # type: ignore[misc]
        def add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
            return super().add_reader(fd, watch.timed(callback), *args)

        def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
            return super().call_soon(watch.timed(callback), *args, context=context)

        def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
            return super().call_soon_threadsafe(watch.timed(callback), *args, context=context)

    loop: asyncio.AbstractEventLoop = Watched()
    return loop

"""Running callbacks on an event loop: what asyncio and Trio nodes add to `dispatch`.

Coroutine functions run on the loop of the node, plain functions on its threads; the engine sees
to the limit that holds for both. How a loop starts a task is given by its front. Imports the
engine, `dispatch` and `registry`; no event loop.
"""

from __future__ import annotations

import abc
import time
from collections.abc import Iterable
from contextvars import Context
from typing import Any

from daffi._native import Completions, Job, Mailbox
from daffi.dispatch import Dispatcher
from daffi.registry import Callback


class LoopDispatcher(Dispatcher, abc.ABC):
    """Runs the jobs of one mailbox, on a loop and on threads."""

    def __init__(self, name: str, workers: int) -> None:
        super().__init__(name, Mailbox(workers, True))
        self._threaded = False
        self._settled: Completions | None = None
        self._home: Any = None

    def offer(self, callbacks: Iterable[Callback]) -> None:
        """From now on these are the functions."""
        import inspect

        offered = list(callbacks)
        super().offer(offered)
        awaited = [c.name for c in offered if inspect.iscoroutinefunction(c.function)]
        self._threaded = len(awaited) < len(offered)
        self.mailbox.set_coroutines(awaited)

    def start(self) -> None:
        """Start the first thread, if there is a function that needs one."""
        if self._threaded:
            super().start()

    def settle(self, completions: Completions) -> None:
        """Coroutines run on the loop that this queue belongs to, unless that of another has not
        ended.
        """
        if self._settled is None or self._settled.closed:
            self._settled, self._home = completions, completions.home
            self.mailbox.settle(completions, self.start_all)

    def start_all(self, jobs: list[Job]) -> None:
        """Start the jobs that came together. Called on the loop."""
        for job in jobs:
            Context().run(self.start_one, job)

    @abc.abstractmethod
    def start_one(self, job: Job) -> None:
        """Start one job, in a context of its own."""

    def cancelled(self, job: Job) -> None:
        """Answer a job whose coroutine was cancelled, as its caller asked or as time ran out."""
        deadline = job.deadline
        late = deadline is not None and deadline <= time.monotonic()
        if late and not job.cancelled:
            kind, text = "timeout", f"{job.function} was cancelled: its time was over"
        else:
            kind, text = "cancelled", f"{job.function} was cancelled"
        job.fail(kind, "", text, "", None, None)

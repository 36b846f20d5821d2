"""Worlds side by side in one process, each in a thread of its own.

A test gives a host a part to run: `host.do(part())` waits for it, `host.start(part())` does not.
Imports `loops` and `worlds`.
"""

from __future__ import annotations

import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any

from loops import Flag
from worlds import Running, World


class Host:
    """One world in a thread, for as long as it is entered."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._waiting: list[tuple[Coroutine[Any, Any, Any], Future[Running]]] = []
        self._lock = threading.Lock()
        self._news = Flag()
        self._over = False
        self._ran = Running()
        self._thread = threading.Thread(
            target=self._ran.run, args=(world.run, self._serve), daemon=True
        )

    def start(self, part: Coroutine[Any, Any, Any]) -> Running:
        """Run a part of the test over there."""
        begun: Future[Running] = Future()
        with self._lock:
            self._waiting.append((part, begun))
        self._news.set()
        return begun.result(20)

    def do(self, part: Coroutine[Any, Any, Any]) -> Any:
        """The same, and wait for what it gives."""
        return self.start(part).wait()

    async def _serve(self) -> None:
        while not self._over:
            await self._news.wait_here(60)
            self._news = Flag()
            with self._lock:
                waiting, self._waiting = self._waiting, []
            for part, begun in waiting:
                begun.set_result(self.world.spawn(part))

    def __enter__(self) -> Host:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over = True
        self._news.set()
        self._ran.wait()

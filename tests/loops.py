"""Waiting in whatever event loop runs: for what is written once for asyncio and for Trio.

Nothing here knows the product, a world or a test. Imports the standard library, and Trio only
where somebody else has.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any


def _trio() -> Any:
    """Trio, where it is what runs here; else None."""
    trio = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_run() else None


async def pause(seconds: float) -> None:
    """Let time pass."""
    trio = _trio()
    await (trio or asyncio).sleep(seconds)


def cancelled() -> type[BaseException]:
    """What a coroutine is cancelled with."""
    trio = _trio()
    return trio.Cancelled if trio else asyncio.CancelledError


def shielded() -> AbstractContextManager[Any]:
    """Where one who was cancelled may wait: Trio cancels every wait, asyncio only one."""
    trio = _trio()
    return trio.CancelScope(shield=True) if trio else contextlib.nullcontext()


def here() -> object:
    """The loop, or the run, that this is called in."""
    trio = _trio()
    return trio.lowlevel.current_trio_token() if trio else asyncio.get_running_loop()


class Flag:
    """Raised once, from any thread; waited for by threads and in any loop."""

    def __init__(self) -> None:
        self._raised = threading.Event()
        self._lock = threading.Lock()
        self._wakes: list[Callable[[], None]] = []

    def set(self) -> None:
        with self._lock:
            self._raised.set()
            wakes, self._wakes = self._wakes, []
        for wake in wakes:
            wake()

    def is_set(self) -> bool:
        return self._raised.is_set()

    def wait(self, within: float) -> bool:
        """Hold up this thread until it is raised; whether it was, in that time."""
        return self._raised.wait(within)

    async def wait_here(self, within: float) -> bool:
        """The same for a coroutine."""
        wake, woken = _waiter(within)
        with self._lock:
            if not self.is_set():
                self._wakes.append(wake)
        if not self.is_set():
            await woken()
        return self.is_set()


def _waiter(within: float) -> tuple[Callable[[], None], Callable[[], Awaitable[None]]]:
    """What wakes, from any thread, and what waits for it, here."""
    trio = _trio()
    if trio:
        token, event = trio.lowlevel.current_trio_token(), trio.Event()

        def wake() -> None:
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(event.set)

        async def woken() -> None:
            with trio.move_on_after(within):
                await event.wait()

        return wake, woken
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def finish() -> None:
        if not future.done():
            future.set_result(None)

    def wake_asyncio() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(finish)

    async def woken_asyncio() -> None:
        await asyncio.wait([future], timeout=within)

    return wake_asyncio, woken_asyncio

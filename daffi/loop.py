"""A background event loop: where the coroutines of a node run whose own world is blocking.

One thread, one asyncio loop, made when the first coroutine comes. What a coroutine does in the
end, SystemExit included, is its own result and never ends the loop. Nothing about jobs, names
or formats may live here. Imports `leaving` of ours; asyncio not before the first `Loop`.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any

from daffi.leaving import Turn, at_exit
from daffi.log import Logger

if TYPE_CHECKING:
    import asyncio

_log = Logger("daffi.loop")
_CLOSING = 2.0  # seconds that closing waits for coroutines, and for a blocked loop
_thread = threading.local()
_open: weakref.WeakSet[Loop] = weakref.WeakSet()


def current() -> Loop | None:
    """The loop that this thread runs, if it runs one of ours."""
    found: Loop | None = getattr(_thread, "loop", None)
    return found


class Errand:
    """One coroutine that was sent to a loop."""

    __slots__ = ("_cancelled", "_coroutine", "_done", "_error", "_loop", "_task", "_value")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, Any],
        done: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._coroutine = coroutine
        self._done = done
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._value: Any = None
        self._error: BaseException | None = None

    def start(self) -> None:
        """Begin; on the loop's thread, in the context that the coroutine is to have."""
        self._task = self._loop.create_task(self._run())
        # Not at the end of _run: cancelled before its first step, it never gets there.
        self._task.add_done_callback(self._finish)
        if self._cancelled:
            self._task.cancel()

    def cancel(self) -> None:
        """Cancel the coroutine, from any thread; it may have ended, or refuse."""

        def cancel() -> None:
            self._cancelled = True
            if self._task is not None:
                self._task.cancel()

        with contextlib.suppress(RuntimeError):  # the loop is closed: all was cancelled
            self._loop.call_soon_threadsafe(cancel)

    def result(self) -> Any:
        """What it returned or raised, once `done` was called."""
        if self._error is not None:
            raise self._error
        return self._value

    async def _run(self) -> None:
        try:
            self._value = await self._coroutine
        except BaseException as error:  # SystemExit too would end the loop
            self._error = error

    def _finish(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            import asyncio

            self._coroutine.close()
            self._error = asyncio.CancelledError()
        self._done()


class Loop:
    """A running event loop on a daemon thread of its own."""

    def __init__(self, name: str) -> None:
        import asyncio

        self.blocked_by: object = None  # the job whose coroutine makes a blocking call on it now
        self._loop = asyncio.new_event_loop()
        self._closing = False
        self._name = name
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        at_exit(Turn.COROUTINES, _close_all)
        _open.add(self)
        self._thread.start()

    def send(
        self, coroutine: Coroutine[Any, Any, Any], context: Context, done: Callable[[], None]
    ) -> Errand:
        """Run a coroutine in `context`; `done()` is called on the loop's thread at its end.

        `RuntimeError` when the loop is closed; the coroutine is closed too then.
        """
        errand = Errand(self._loop, coroutine, done)
        try:
            self._loop.call_soon_threadsafe(errand.start, context=context)
        except RuntimeError:
            coroutine.close()
            raise
        return errand

    def close(self) -> None:
        """Cancel what runs, give it two seconds, and end the thread."""
        self._closing = True
        try:
            self._loop.call_soon_threadsafe(self._loop.stop)
        except RuntimeError:
            return
        if threading.current_thread() is not self._thread:
            self._thread.join(_CLOSING + 1)

    def _run(self) -> None:
        _thread.loop = self
        while not self._closing:
            try:
                self._loop.run_forever()
            except BaseException:  # a task that a callback started raised SystemExit
                _log.exception(
                    "%s: a task ended with more than an Exception; the loop goes on", self._name
                )
        try:
            self._cancel_all()
        except BaseException:
            _log.exception("%s: the event loop did not end cleanly", self._name)
        finally:
            _open.discard(self)
            self._loop.close()

    def _cancel_all(self) -> None:
        import asyncio

        self._loop.run_until_complete(asyncio.sleep(0))  # whatever was sent before the stop
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self._loop.run_until_complete(asyncio.wait(tasks, timeout=_CLOSING))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())


def _close_all() -> None:
    for loop in list(_open):
        loop.close()

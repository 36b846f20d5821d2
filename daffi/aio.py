"""The asyncio world: `AsyncRouter`, `AsyncService`, `AsyncClient` and its connection.

    async with AsyncClient(port=5000) as conn:
        print(await conn.rpc(timeout=5).add(3, 4))

Nothing but a way of waiting: what asyncio and Trio nodes share is in `awaited`. Here are the
queue of each event loop, one wake-up for a burst, and tasks. Any loop with the interface of
asyncio will do, uvloop's too. Imports the engine and `awaited`; no other world's front.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary, ref

from daffi import awaited
from daffi._native import Call, Completions, Job
from daffi.log import Logger
from daffi.loop import Errand
from daffi.signals import heard
from daffi.tasks import LoopDispatcher

__all__ = [
    "AsyncClient",
    "AsyncClientConnection",
    "AsyncRouter",
    "AsyncService",
    "Client",
    "Router",
    "Service",
]

_log = Logger("daffi.aio")
# What one turn gives to what has come: seconds, and functions, each of which may have something
# to send on a connection of its own.
_AT_A_STRETCH = 0.001
_MOST = 100


class _Here(threading.local):
    """The loop that ran last in a thread, and its queue."""

    loop: asyncio.AbstractEventLoop | None = None
    completions: Completions | None = None
    inside: Completions | None = None  # while what has come runs


_here = _Here()
if hasattr(os, "register_at_fork"):  # a child made by what has come runs loops of its own
    os.register_at_fork(after_in_child=lambda: setattr(_here, "inside", None))


class _Turns:
    """What comes for one loop, run in the loop's own turns.

    It belongs to the loop, which lets go of it when it is closed, and that ends it.
    """

    __slots__ = ("__weakref__", "_again", "_loop", "_ready", "completions", "tasks")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready: deque[tuple[Any, Callable[[Any], object], Any]] = deque()
        self._again = False
        # A loop only refers to its tasks weakly.
        self.tasks: set[asyncio.Task[Any]] = set()
        self.completions = Completions(loop, loop.call_soon)
        try:
            # In a context of its own, not in that of whoever calls first.
            Context().run(loop.add_reader, self.completions.fileno(), self._turn)
            if (selector := self.completions.selector()) is not None:
                Context().run(loop.add_reader, selector, self._turn)
        except NotImplementedError:  # a loop that can't watch files, as on Windows
            wake = partial(loop.call_soon_threadsafe, self._turn)
            self.completions = Completions(loop, loop.call_soon, wake=wake)

    def _turn(self) -> None:
        ready = self._ready
        ready.extend(self.completions.drain())
        until = perf_counter() + _AT_A_STRETCH
        most = _MOST
        _here.inside = self.completions
        try:
            while ready:
                context, function, argument = ready.popleft()
                try:
                    context.run(function, argument)
                except Exception as error:
                    self._loop.call_exception_handler(
                        {"message": f"Exception in callback {function}", "exception": error}
                    )
                most -= 1
                if not most or perf_counter() > until:
                    break
        finally:
            _here.inside = None
            self.completions.let_go()
            if ready and not self._again:
                self._again = True
                self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._again = False
        self._turn()

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Refer to the task until it is done."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def __del__(self, here: _Here = _here) -> None:
        for task in self.tasks:
            # They were not given the time to end, and need not say so. asyncio's own gather()
            # silences its tasks by this attribute, which is in no stub.
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.completions.close()
        if here.loop is self._loop:
            here.loop = here.completions = None


_known: WeakKeyDictionary[asyncio.AbstractEventLoop, ref[_Turns]] = WeakKeyDictionary()


def _turns(loop: asyncio.AbstractEventLoop) -> _Turns:
    """Those of that loop, which runs in this thread."""
    known = _known.get(loop)
    turns = known() if known is not None else None
    if turns is None:
        turns = _Turns(loop)
        _known[loop] = ref(turns)
    return turns


def _completions() -> Completions:
    inside = _here.inside
    if inside is not None:
        return inside
    loop = asyncio.get_running_loop()  # which asks the system for the process id
    if loop is not _here.loop or _here.completions is None:
        _here.completions = _turns(loop).completions
        _here.loop = loop
    return _here.completions


class _Dispatcher(LoopDispatcher):
    """Runs coroutine functions as tasks, eagerly where Python has eager tasks."""

    def start_one(self, job: Job) -> None:
        """Start one job, in a context of its own."""
        called = self.take_call(job)
        if called is None:
            return
        work = self._perform(job, *called)
        del called  # the task may let go of the arguments
        task = _start(work, self._home, job.function)
        if task.done():
            return
        if job.oneway:
            _keep(task)
        else:
            job.on_cancel(partial(_cancel, task))  # which the engine keeps, and so the task

    async def _perform(
        self, job: Job, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        try:
            outcome = [await function(*args, **kwargs)]
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if job.cancelled or task is None or _is_cancelling(task):
                self.cancelled(job)
            else:
                self.fail(job, error)
        except BaseException as error:  # SystemExit too would end the loop
            self.fail(job, error)
        else:
            del args, kwargs
            self.finish(job, outcome)

    def _loop_for(self, coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, bool]:
        """The node's own loop, for what a plain function returned to be awaited."""
        if self._home is None or self._home.is_closed():
            coroutine.close()
            raise RuntimeError("the node's event loop is closed")
        return _Elsewhere(self._home), False


if sys.version_info >= (3, 12):

    def _start(
        work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop, name: str
    ) -> asyncio.Task[None]:
        return asyncio.Task(work, loop=loop, name=name, eager_start=True)

else:

    def _start(
        work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop, name: str
    ) -> asyncio.Task[None]:
        # With a name: to make one up takes as long as the rest.
        return loop.create_task(work, name=name)


def _keep(task: asyncio.Task[Any]) -> None:
    _turns(task.get_loop()).keep(task)


def _cancel(task: asyncio.Task[Any], _: object) -> None:
    _keep(task)  # nobody else does from now on, and it may take its time
    task.cancel()


def _is_cancelling(task: asyncio.Task[Any]) -> bool:
    return sys.version_info < (3, 11) or task.cancelling() > 0


class _Elsewhere:
    """A loop that coroutines are sent to from a thread; see `daffi.loop.Loop`."""

    blocked_by: object = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def send(
        self, coroutine: Coroutine[Any, Any, Any], context: Any, done: Callable[[], None]
    ) -> Errand:
        """Run a coroutine in `context`; `done()` is called on the loop's thread at its end."""
        errand = Errand(self._loop, coroutine, done)
        try:
            self._loop.call_soon_threadsafe(errand.start, context=context)
        except RuntimeError:
            coroutine.close()
            raise
        return errand


class _World:
    """asyncio, as nodes and calls need it."""

    here = staticmethod(_completions)
    dispatcher = staticmethod(_Dispatcher)

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], object]:
        """Run it in the background, in the current context; what comes back cancels it."""

        async def run() -> None:
            try:
                await work()
            except Exception:
                _log.exception("a node's work in the background failed")

        task = asyncio.get_running_loop().create_task(run())
        _keep(task)
        return task.cancel

    async def within(self, seconds: float, call: Call) -> None:
        """Wait for a call, but no longer than that."""
        await asyncio.wait([call], timeout=seconds)

    def spawn_from(self, home: Completions, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it in the background on that loop. Called from any thread."""
        loop: asyncio.AbstractEventLoop = home.home
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self.spawn, work, context=copy_context())

    async def until_signal(self, over: Callable[[], Any]) -> bool:
        """Await `over()`, or in the main thread SIGINT or SIGTERM; True for a signal."""
        loop = asyncio.get_running_loop()
        ended = asyncio.ensure_future(over())
        signalled: asyncio.Future[None] = loop.create_future()

        def hear() -> None:
            if not signalled.done():
                signalled.set_result(None)

        try:
            with heard(partial(loop.call_soon_threadsafe, hear)):
                await asyncio.wait([ended, signalled], return_when=asyncio.FIRST_COMPLETED)
        finally:
            signalled.cancel()
            ended.cancel()
        if ended.done() and not ended.cancelled():
            ended.result()
            return False
        return True


_WORLD = _World()


class _Presence(awaited.LoopPresence):
    world = _WORLD


class AsyncRouter(awaited.AsyncRouter):
    """The hub, on asyncio: clients connect to it, and it carries calls between them.

    It runs no callbacks and opens no payload. With no address it listens on 127.0.0.1 and a
    free port, which is `.port` after `start()`.
    """

    _world = _WORLD
    _presence_kind = _Presence


class AsyncService(awaited.AsyncService):
    """A server on asyncio that runs callbacks itself: clients connect to it and call them.

    Coroutine functions run on the loop that `start()` was awaited on, plain functions on
    threads; `workers` is how many of both may run at once, 100 where it is None. `expose` are
    the functions, or names, that it offers, all that are registered where it is None.
    """

    _world = _WORLD
    _presence_kind = _Presence


class AsyncClient(awaited.AsyncClient):
    """Connects from asyncio to a Service or a Router, and calls; a Router's clients may be called.

    `connect()`, or `async with`, gives the `AsyncClientConnection` that calls go through.
    """

    _world = _WORLD
    _presence_kind = _Presence


AsyncClientConnection = awaited.AsyncClientConnection
Router = AsyncRouter
Service = AsyncService
Client = AsyncClient

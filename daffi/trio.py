"""The Trio world: `AsyncRouter`, `AsyncService`, `AsyncClient` and its connection.

    async with AsyncClient(port=5000) as conn:
        print(await conn.rpc(timeout=5).add(3, 4))

Nothing but a way of waiting: what asyncio and Trio nodes share is in `awaited`. Here are the
queue of each run, watched by a system task, callbacks as system tasks, and cancel scopes. Imports
the engine and `awaited`; no other world's front, and nothing of asyncio.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context, copy_context
from functools import partial
from typing import Any

import trio

from daffi import awaited
from daffi._native import Call, Completions, Job
from daffi.log import Logger
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

_log = Logger("daffi.trio")
_AT_A_STRETCH = 64  # functions that are run before other tasks get a turn


async def _wait(call: Call) -> Any:
    """Wait for a call; cancelling the scope that this runs in cancels it at the worker."""
    if call.done():
        await trio.lowlevel.checkpoint()
        return call.result()
    task = trio.lowlevel.current_task()

    def wake(_: Call) -> None:
        trio.lowlevel.reschedule(task)

    def abort(_: object) -> trio.lowlevel.Abort:
        call.remove_done_callback(wake)
        call.cancel()
        return trio.lowlevel.Abort.SUCCEEDED

    call.add_done_callback(wake)
    await trio.lowlevel.wait_task_rescheduled(abort)
    return call.result()


class _Turns:
    """What comes for one run of Trio, and the system task that runs it."""

    def __init__(self) -> None:
        token = trio.lowlevel.current_trio_token()
        # In the next turn of the loop, once for however many ask.
        soon = partial(token.run_sync_soon, idempotent=True)
        self.completions = Completions(token, soon, waiter=_wait)
        # It must not be taken for something that belongs to the task that calls first.
        trio.lowlevel.spawn_system_task(self._watch, name="daffi", context=Context())

    async def _watch(self) -> None:
        completions = self.completions
        file = completions.fileno()
        try:
            while True:
                await trio.lowlevel.wait_readable(file)
                for _ in self._run(completions):
                    await trio.lowlevel.cancel_shielded_checkpoint()
        finally:
            _turns.set(_Over())
            trio.lowlevel.notify_closing(file)
            completions.close()

    def _run(self, completions: Completions) -> Iterator[None]:
        """Run what has come; yields where other tasks are to have a turn."""
        ready = completions.drain()
        try:
            for number, (context, function, argument) in enumerate(ready, 1):
                context.run(function, argument)
                if number % _AT_A_STRETCH == 0:
                    completions.let_go()
                    yield
        finally:
            completions.let_go()


class _Over:
    """The run ends, and nobody watches any more."""

    @property
    def completions(self) -> Completions:
        raise RuntimeError("this run of Trio is ending")


_turns: trio.lowlevel.RunVar[_Turns | _Over] = trio.lowlevel.RunVar("daffi")


def _completions() -> Completions:
    try:
        turns = _turns.get()
    except LookupError:
        turns = _Turns()
        _turns.set(turns)
    return turns.completions


class _Dispatcher(LoopDispatcher):
    """Runs coroutine functions as system tasks, each in a cancel scope of its own."""

    def start_one(self, job: Job) -> None:
        """Start one job, in a context of its own."""
        called = self.take_call(job)
        if called is not None:
            trio.lowlevel.spawn_system_task(
                self._perform, job, *called, name=job.function, context=copy_context()
            )

    async def _perform(
        self, job: Job, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        with trio.CancelScope() as scope:
            if not job.oneway:
                job.on_cancel(lambda _: scope.cancel())
            try:
                outcome = [await function(*args, **kwargs)]
            except trio.Cancelled:
                self.cancelled(job)
                raise
            except BaseException as error:  # one that gets out ends the whole run
                self.fail(job, error)
            else:
                del args, kwargs
                self.finish(job, outcome)

    def _await(self, job: Job, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of what a plain function returned to be awaited."""

        async def wait() -> Any:
            return await coroutine

        return copy_context().run(lambda: trio.from_thread.run(wait, trio_token=self._home))


class _World:
    """Trio, as nodes and calls need it."""

    here = staticmethod(_completions)
    dispatcher = staticmethod(_Dispatcher)

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], object]:
        """Run it in the background, in the current context; what comes back cancels it."""
        scope = trio.CancelScope()

        async def run() -> None:
            with scope:
                try:
                    await work()
                except Exception:  # one that gets out ends the whole run
                    _log.exception("a node's work in the background failed")

        trio.lowlevel.spawn_system_task(run, context=copy_context())
        return scope.cancel

    async def within(self, seconds: float, call: Call) -> None:
        """Wait for a call, but no longer than that."""
        with trio.move_on_after(seconds):
            await call

    def spawn_from(self, home: Completions, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it in the background in that run. Called from any thread."""
        with contextlib.suppress(trio.RunFinishedError):
            home.home.run_sync_soon(self.spawn, work)

    async def until_signal(self, over: Callable[[], Any]) -> bool:
        """Await `over()`, or in the main thread SIGINT or SIGTERM; True for a signal."""
        token = trio.lowlevel.current_trio_token()
        signalled = False
        with trio.CancelScope() as scope:

            def hear() -> None:
                nonlocal signalled
                signalled = True
                scope.cancel()

            with heard(partial(token.run_sync_soon, hear)):
                await over()
        return signalled


_WORLD = _World()


class _Presence(awaited.LoopPresence):
    world = _WORLD


class AsyncRouter(awaited.AsyncRouter):
    """The hub, on Trio: clients connect to it, and it carries calls between them.

    It runs no callbacks and opens no payload. With no address it listens on 127.0.0.1 and a
    free port, which is `.port` after `start()`.
    """

    _world = _WORLD
    _presence_kind = _Presence


class AsyncService(awaited.AsyncService):
    """A server on Trio that runs callbacks itself: clients connect to it and call them.

    Coroutine functions run on the loop that `start()` was awaited on, plain functions on
    threads; `workers` is how many of both may run at once, 100 where it is None. `expose` are
    the functions, or names, that it offers, all that are registered where it is None.
    """

    _world = _WORLD
    _presence_kind = _Presence


class AsyncClient(awaited.AsyncClient):
    """Connects from Trio to a Service or a Router, and calls; a Router's clients may be called.

    `connect()`, or `async with`, gives the `AsyncClientConnection` that calls go through.
    """

    _world = _WORLD
    _presence_kind = _Presence


AsyncClientConnection = awaited.AsyncClientConnection
Router = AsyncRouter
Service = AsyncService
Client = AsyncClient

"""The worlds in which a behaviour is tested: ways of waiting for the same product.

A test is written once, as an async body that takes a `world`. It never says how a call
waits: `await world.call(conn.rpc().add, 1, 2)` makes the call in the way of that world. A
new world is a subclass here and one more entry in `WORLDS`.

Here live only running, waiting and the node classes of each world. No topology, no
process, no assertion about the product. Imports `daffi`, `loops`, Trio and the standard library.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from typing import Any

import trio
from loops import Flag, pause

import daffi
import daffi.aio
import daffi.trio

Body = Callable[[], Awaitable[None]]


class Running:
    """Something that was begun and whose outcome may be asked for later."""

    def __init__(self) -> None:
        self._ended = Flag()
        self.value: Any = None
        self._error: BaseException | None = None

    def done(self) -> bool:
        """Whether it has ended, in any way."""
        return self._ended.is_set()

    async def result(self, within: float = 20.0) -> Any:
        """What it gave, or raise what it raised; `AssertionError` when it hangs."""
        await self._ended.wait_here(within)
        return self._outcome(within)

    def wait(self, within: float = 20.0) -> Any:
        """The same from a thread in which no world runs."""
        self._ended.wait(within)
        return self._outcome(within)

    def _outcome(self, within: float) -> Any:
        if not self.done():
            raise AssertionError(f"it has not ended after {within} s")
        if self._error is not None:
            raise self._error
        return self.value

    def cancel(self) -> None:
        """Give it up; only where calls are awaited."""
        raise AssertionError("nobody can give up what another thread waits for")

    def end(self, value: Any = None, error: BaseException | None = None) -> None:
        self.value, self._error = value, error
        self._ended.set()

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """End with what the function gives."""
        try:
            value = function(*args, **kwargs)
        except BaseException as error:
            self.end(error=error)
        else:
            self.end(value)


class World(abc.ABC):
    """One way of waiting."""

    name: str
    awaits: bool  # whether calls and the methods of nodes are awaited
    workers: int  # callbacks of one node that run at once, where nobody says how many
    Router: Any
    Service: Any
    Client: Any

    @abc.abstractmethod
    def run(self, body: Body) -> None:
        """Run a whole test."""

    @abc.abstractmethod
    def spawn(self, part: Coroutine[Any, Any, Any]) -> Running:
        """Run a part of the test beside the rest of it: in a thread or a task of its own."""

    def begin(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Running:
        """Make a call of the product and do not wait for it."""
        made = Running()
        made.run(function, *args, **kwargs)
        return self.spawn(made.value) if hasattr(made.value, "__await__") else made

    async def thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run blocking code of the test itself without holding up the product."""
        return await _in_a_thread(function, *args, **kwargs).result(within=60.0)

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await pause(seconds)

    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Make a call of the product and wait for it."""
        return await self.begin(function, *args, **kwargs).result(within=60.0)

    @contextlib.asynccontextmanager
    async def entered(self, node: Any) -> AsyncIterator[Any]:
        """`with node`, or `async with` where that is how it is entered."""
        if self.awaits:
            async with node as given:
                yield given
            return
        given = await self.call(node.__enter__)
        try:
            yield given
        finally:
            await self.call(node.__exit__, None, None, None)

    async def together(self, calls: Iterable[Callable[[], Any]]) -> list[Any]:
        """Make all calls at once; their results in the same order."""
        running = [self.begin(call) for call in calls]
        return [await one.result(within=60.0) for one in running]

    async def side_by_side(self, parts: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
        """Run parts of a test beside each other; their results in the same order."""
        running = [self.spawn(part) for part in parts]
        return [await one.result(within=60.0) for one in running]

    async def until(self, condition: Callable[[], Any], within: float = 5.0) -> None:
        """Wait until `condition()` is true; `AssertionError` when it stays false."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"still not true after {within} s: {_source(condition)}")
            await self.sleep(0.005)


def _source(condition: Callable[[], Any]) -> str:
    code = condition.__code__ if hasattr(condition, "__code__") else None
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(condition)


def _in_a_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Running:
    running, context = Running(), contextvars.copy_context()

    def work() -> None:
        context.run(running.run, function, *args, **kwargs)

    threading.Thread(target=work, daemon=True).start()
    return running


class _Task(Running):
    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        super().__init__()
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(self._is_done)

    def _is_done(self, task: asyncio.Task[Any]) -> None:
        self.run(task.result)

    def cancel(self) -> None:
        self._task.cancel()


class _OnAsyncio(World):
    """Tests are run by asyncio. What its loop complains of fails the test."""

    def run(self, body: Body) -> None:
        complaints: list[dict[str, Any]] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, said: complaints.append(said))
            await body()

        asyncio.run(main())
        assert not complaints

    def spawn(self, part: Coroutine[Any, Any, Any]) -> Running:
        return _Task(part)


class Blocking(_OnAsyncio):
    """Blocking nodes. Every call gets a thread, as in a threaded program."""

    name = "blocking"
    awaits = False
    workers = 1
    Router = daffi.Router
    Service = daffi.Service
    Client = daffi.Client

    def __init__(self) -> None:
        self._part = threading.local()  # has `runs` in the thread of a part

    def begin(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Running:
        return _in_a_thread(function, *args, **kwargs)

    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if hasattr(self._part, "runs"):
            return function(*args, **kwargs)
        return await super().call(function, *args, **kwargs)

    async def sleep(self, seconds: float) -> None:
        if hasattr(self._part, "runs"):
            time.sleep(seconds)
        else:
            await super().sleep(seconds)

    def spawn(self, part: Coroutine[Any, Any, Any]) -> Running:
        return _in_a_thread(self._run_part, part)

    def _run_part(self, part: Coroutine[Any, Any, Any]) -> Any:
        self._part.runs = True
        try:
            part.send(None)
        except StopIteration as ended:
            return ended.value
        raise AssertionError("a part waits in this thread, for calls and time alone")


class Asyncio(_OnAsyncio):
    """asyncio nodes. Every call gets a task."""

    name = "asyncio"
    awaits = True
    workers = 100
    Router = daffi.aio.Router
    Service = daffi.aio.Service
    Client = daffi.aio.Client


class _Child(Running):
    def __init__(self, work: Coroutine[Any, Any, Any], nursery: trio.Nursery) -> None:
        super().__init__()
        self._work = work
        self._scope = trio.CancelScope()
        nursery.start_soon(self._perform)

    async def _perform(self) -> None:
        with self._scope:
            try:
                self.end(await self._work)
            except trio.Cancelled as error:
                self.end(error=error)
                raise
            except BaseException as error:
                self.end(error=error)

    def cancel(self) -> None:
        self._scope.cancel()


class Trio(World):
    """Trio nodes. Every call gets a task of one nursery, which ends with the test."""

    name = "trio"
    awaits = True
    workers = 100
    Router = daffi.trio.Router
    Service = daffi.trio.Service
    Client = daffi.trio.Client
    _nursery: trio.Nursery

    def run(self, body: Body) -> None:
        failed: list[BaseException] = []

        async def main() -> None:
            async with trio.open_nursery() as self._nursery:
                try:
                    await body()
                except trio.Cancelled:
                    raise
                except BaseException as error:  # raised outside, where it is in no group
                    failed.append(error)
                self._nursery.cancel_scope.cancel()

        trio.run(main)
        for error in failed:
            raise error

    def spawn(self, part: Coroutine[Any, Any, Any]) -> Running:
        return _Child(part, self._nursery)


WORLDS: dict[str, type[World]] = {world.name: world for world in (Blocking, Asyncio, Trio)}

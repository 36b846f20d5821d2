"""The worlds in which a behaviour is tested: ways of waiting for the same product.

A test is written once, as an async body that takes a `world`. It never says how a call
waits: `await world.call(conn.rpc().add, 1, 2)` makes the call in the way of that world. A
new world is a subclass here and one more entry in `WORLDS`.

Here live only running, waiting and the node classes of each world. No topology, no
process, no assertion about the product. Imports `daffi` and the standard library.
"""

from __future__ import annotations

import abc
import asyncio
import contextvars
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from typing import Any

import daffi

Body = Callable[[], Awaitable[None]]


class Running(abc.ABC):
    """A call that was begun and whose outcome may be asked for later."""

    @abc.abstractmethod
    def done(self) -> bool:
        """Whether the call has ended, in any way."""

    @abc.abstractmethod
    async def result(self, within: float = 20.0) -> Any:
        """What the call gave, or raise what it raised; `AssertionError` when it hangs."""


class World(abc.ABC):
    """One way of waiting."""

    name: str
    Router: Any
    Service: Any
    Client: Any

    @abc.abstractmethod
    def run(self, body: Body) -> None:
        """Run a whole test."""

    @abc.abstractmethod
    def begin(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Running:
        """Make a call of the product and do not wait for it."""

    @abc.abstractmethod
    async def thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run blocking code of the test itself without holding up the product."""

    @abc.abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Let time pass."""

    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Make a call of the product and wait for it."""
        return await self.begin(function, *args, **kwargs).result(within=60.0)

    async def together(self, calls: Iterable[Callable[[], Any]]) -> list[Any]:
        """Make all calls at once; their results in the same order."""
        running = [self.begin(call) for call in calls]
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


class _Thread(Running):
    def __init__(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self._outcome: Future[Any] = Future()
        context = contextvars.copy_context()
        work = threading.Thread(
            target=lambda: context.run(self._work, function, args, kwargs), daemon=True
        )
        work.start()

    def _work(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(result)

    def done(self) -> bool:
        return self._outcome.done()

    async def result(self, within: float = 20.0) -> Any:
        ended = asyncio.wrap_future(self._outcome)
        await asyncio.wait([ended], timeout=within)
        if not self._outcome.done():
            raise AssertionError(f"the call has not ended after {within} s")
        return await ended


class Blocking(World):
    """Blocking nodes. Every call gets a thread, as in a threaded program."""

    name = "blocking"
    Router = daffi.Router
    Service = daffi.Service
    Client = daffi.Client

    def run(self, body: Body) -> None:
        async def main() -> None:
            await body()

        asyncio.run(main())

    def begin(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Running:
        return _Thread(function, args, kwargs)

    async def thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await _Thread(function, args, kwargs).result(within=60.0)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


WORLDS: dict[str, type[World]] = {world.name: world for world in (Blocking,)}

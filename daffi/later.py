"""`conn.rpc(...).name(args)` from an event loop: calls that are sent now and awaited later.

The counterpart of the binders in `remote` for asyncio and Trio. What a call returns is the
engine's `Call`; a stream is driven by a task of its own, which ends such a call by hand. How a
loop is woken and how a task is started is given from outside, as a `World`. Imports the engine,
`remote`, `streams`, `formats` and `exceptions`; no event loop.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from types import AsyncGeneratorType, GeneratorType
from typing import Any, NamedTuple, Protocol

from daffi._native import Call, Client, Completions, Job, Stream
from daffi.exceptions import Overloaded, TransmissionFailure
from daffi.formats import argument_packer, unpack_result
from daffi.log import Logger
from daffi.remote import Options, Remote, unpack_cast
from daffi.streams import is_chunk

_log = Logger("daffi.remote")
_MOST_CHUNKS = 1024  # chunks of one kept stream that may wait without being awaited


class World(Protocol):
    """An event loop, as far as calls need one."""

    def here(self) -> Completions:
        """The queue of the loop that runs now; `RuntimeError` where none does."""

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], object]:
        """Run it in the background, in the current context; what comes back cancels it."""

    async def within(self, seconds: float, call: Call) -> None:
        """Wait for a call, but no longer than that."""


class Background:
    """Streams of one client that run in the background. `stop()` lets them end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: dict[Call, Completions] = {}

    def spawn(
        self, work: Callable[[], Coroutine[Any, Any, None]], completions: Completions
    ) -> Callable[[], object]:
        """As `World.spawn`."""
        ended = Call.by_hand(completions)

        async def run() -> None:
            try:
                await work()
            finally:
                del self._running[ended]
                ended.set_result(None)

        self._running[ended] = completions
        return self._world.spawn(run)

    async def settled(self, seconds: float) -> None:
        """Return when those of this loop have ended, or so much later."""
        until = time.monotonic() + seconds
        here = self._world.here()
        for ended, home in list(self._running.items()):
            if home is here:
                await self._world.within(max(0.0, until - time.monotonic()), ended)


class Way(NamedTuple):
    """How calls are made from a loop."""

    client: Client
    world: World
    background: Background
    current: Callable[[None], Job | None]  # the job whose callback we are in


def bind_rpc(way: Way, name: str, options: Options) -> Remote:
    """Call one worker."""
    format, receivers, timeout = options
    pack = argument_packer(format, True)
    call, here, current = way.client.call, way.world.here, way.current

    def remote(*args: Any, **kwargs: Any) -> Any:
        return call(
            name, format, pack(args, kwargs), receivers=receivers, timeout=timeout,
            parent=current(None), completions=here(), convert=unpack_result,
        )  # fmt: skip

    return remote


def bind_cast(way: Way, name: str, options: Options) -> Remote:
    """Call many workers: worker to result or exception."""
    format, receivers, timeout = options
    pack = argument_packer(format, True)
    call, here, current = way.client.call, way.world.here, way.current

    def remote(*args: Any, **kwargs: Any) -> Any:
        return call(
            name, format, pack(args, kwargs), receivers=receivers, cast=True, timeout=timeout,
            parent=current(None), completions=here(), convert=unpack_cast,
        )  # fmt: skip

    return remote


def bind_rpc_nowait(way: Way, name: str, options: Options) -> Remote:
    """Have one worker called. Awaited, it waits for room in the pipe."""
    return _bind_post(way, name, options, False)


def bind_cast_nowait(way: Way, name: str, options: Options) -> Remote:
    """Have many workers called. Awaited, it waits for room in the pipe."""
    return _bind_post(way, name, options, True)


def _bind_post(way: Way, name: str, options: Options, cast: bool) -> Remote:
    format, receivers, _ = options
    pack = argument_packer(format, False)
    post, here, current = way.client.post, way.world.here, way.current

    def remote(*args: Any, **kwargs: Any) -> Any:
        return post(name, format, pack(args, kwargs), receivers, cast, current(None), here())

    return remote


def bind_stream(way: Way, name: str, options: Options) -> Remote:
    """Send items one after another, each when the one before has run."""
    return StreamFunction(way, name, options, True)


def bind_stream_nowait(way: Way, name: str, options: Options) -> Remote:
    """Send items one after another, waiting for nothing but room in the pipe."""
    return StreamFunction(way, name, options, False)


class StreamFunction:
    """A remote function that takes a stream, as `daffi.streams.StreamFunction` describes it.

    An async iterable will do as well. Chunks that are given to it one by one leave in that
    order, whether they are awaited or not.
    """

    __slots__ = ("_acknowledged", "_chunks", "_format", "_name", "_open", "_pack", "_receiver",
                 "_sending", "_timeout", "_way")  # fmt: skip

    def __init__(self, way: Way, name: str, options: Options, acknowledged: bool) -> None:
        self._way = way
        self._name = name
        self._format = options.format
        self._receiver = options.receivers[0] if options.receivers else None
        self._timeout = options.timeout
        self._acknowledged = acknowledged
        self._pack = argument_packer(options.format, acknowledged)
        self._open: Stream | None = None
        self._chunks: deque[tuple[Any, _Driven]] = deque()
        self._sending = False

    def __call__(self, *args: Any, **kwargs: Any) -> Call:
        if kwargs or len(args) != 1:
            raise TypeError(
                f"a stream takes one positional argument, a generator, an iterable or a chunk,"
                f" not {len(args)} positional and {len(kwargs)} keyword arguments"
            )
        items = args[0]
        completions = self._way.world.here()
        if not hasattr(items, "__aiter__") and is_chunk(items):
            return self._add_chunk(items, completions)
        stream = self._begin()
        job = _Driven(completions)
        job.cancel = self._way.background.spawn(
            lambda: self._drive(items, stream, job, completions), completions
        )
        return job.call

    def _begin(self) -> Stream:
        return self._way.client.open(
            self._name, self._format, receiver=self._receiver, acknowledged=self._acknowledged,
            timeout=self._timeout, parent=self._way.current(None),
        )  # fmt: skip

    async def _drive(
        self, items: Any, stream: Stream, job: _Driven, completions: Completions
    ) -> None:
        try:
            try:
                await self._send_all(items, stream, completions)
            finally:
                stream.end()
        except Exception as error:
            job.call.set_exception(error)
        except BaseException:
            job.call.cancel()
            raise
        else:
            job.call.set_result(None)

    async def _send_all(self, items: Any, stream: Stream, completions: Completions) -> None:
        none = True
        if hasattr(items, "__aiter__"):
            try:
                async for item in items:
                    none = False
                    if not await self._sent(self._send(stream, item, completions)):
                        break
            finally:
                if type(items) is AsyncGeneratorType:
                    await items.aclose()
        else:
            iterator = iter(items)
            try:
                for item in iterator:
                    none = False
                    if not await self._sent(self._send(stream, item, completions)):
                        break
            finally:
                if type(iterator) is GeneratorType:
                    iterator.close()
        if none and self._acknowledged:  # that nobody is there raises all the same
            await stream.opened(self._timeout, completions)

    def _send(self, stream: Stream, item: Any, completions: Completions) -> Call:
        sending: Call = stream.send(self._pack((item,), {}), self._timeout, completions)
        return sending

    async def _sent(self, sending: Call) -> bool:
        """Whether there is somebody who takes it."""
        try:
            await sending
        except TransmissionFailure as failure:
            if self._acknowledged:
                raise
            _log.warning("a stream to %s that nobody waits for failed: %s", self._name, failure)
            return False
        finally:
            del sending  # which has the exception, whose traceback has this frame
        return True

    def _add_chunk(self, chunk: Any, completions: Completions) -> Call:
        if len(self._chunks) >= _MOST_CHUNKS:
            raise Overloaded(
                f"{len(self._chunks)} chunks for {self._name} wait to be sent; await them"
            )
        payload = self._pack((chunk,), {})
        job = _Driven(completions)
        self._chunks.append((payload, job))
        if not self._sending:
            self._sending = True
            self._way.background.spawn(lambda: self._send_chunks(completions), completions)
        return job.call

    async def _send_chunks(self, completions: Completions) -> None:
        try:
            while self._chunks:
                payload, job = self._chunks.popleft()
                if not job.call.done():  # nobody has cancelled it
                    await self._send_chunk(payload, job, completions)
        except BaseException:  # it is the loop that ends
            for _, job in self._chunks:
                job.call.cancel()
            self._chunks.clear()
            raise
        finally:
            self._sending = False

    async def _send_chunk(self, payload: Any, job: _Driven, completions: Completions) -> None:
        taken = False
        try:
            if self._open is None:
                self._open = self._begin()
            sending = self._open.send(payload, self._timeout, completions)
            # Not by cancelling it: whoever awaits it here goes on with the next chunk.
            job.cancel = partial(sending.set_exception, _GivenUp())
            waiting = self._sent(sending)
            del sending
            taken = await waiting
        except Exception as error:
            job.call.set_exception(error)
        except BaseException:
            job.call.cancel()
            raise
        else:
            job.call.set_result(None)
        finally:
            job.cancel = None
            if not taken and self._open is not None:
                self._open.end()
                self._open = None


class _GivenUp(Exception):
    """Whoever awaited a chunk was cancelled."""


class _Driven:
    """A call that a task of ours ends, and the way to cancel that task."""

    def __init__(self, completions: Completions) -> None:
        self.cancel: Callable[[], object] | None = None
        self.call = Call.by_hand(completions, self._cancel)

    def _cancel(self) -> None:
        if self.cancel is not None:
            self.cancel()

"""`conn.stream(...).name(items)`: remote functions that take a stream, from a thread.

Items are packed one by one and sent as fast as the worker takes them. How to send is the engine's
business, how to wait is given from outside, as a `Way`. Imports `remote`, `formats`, `log` and
`exceptions`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from types import GeneratorType
from typing import Any, Protocol

from daffi.exceptions import TransmissionFailure
from daffi.formats import argument_packer
from daffi.log import Logger
from daffi.remote import Options, Remote, Way

_log = Logger("daffi.remote")


class Stream(Protocol):
    """The engine's side of one stream."""

    def send(self, payload: Any, timeout: float | None = None) -> Any: ...
    def opened(self, timeout: float | None = None) -> Any: ...
    def end(self) -> None: ...


def bind_stream(way: Way, name: str, options: Options) -> Remote:
    """Send items one after another, each when the one before has run."""
    return StreamFunction(way, name, options, True)


def bind_stream_nowait(way: Way, name: str, options: Options) -> Remote:
    """Send items one after another, waiting for nothing but room in the pipe."""
    return StreamFunction(way, name, options, False)


class StreamFunction:
    """A remote function that takes a stream.

    Called with a generator or an iterable it sends that as one stream. Called chunk by chunk,
    all chunks are items of one stream to one worker, which ends when this object goes; when it
    fails, that chunk raises and the next one begins another stream. Without acknowledgements,
    that nobody is there to take it is a WARNING in the log, and no more is taken from the
    iterable.
    """

    __slots__ = ("_acknowledged", "_current", "_format", "_lock", "_name", "_open", "_pack",
                 "_receiver", "_timeout", "_way")  # fmt: skip

    def __init__(self, way: Way, name: str, options: Options, acknowledged: bool) -> None:
        self._way = way
        self._current = way.current
        self._name = name
        self._format = options.format
        self._receiver = options.receivers[0] if options.receivers else None
        self._timeout = options.timeout
        self._acknowledged = acknowledged
        self._pack = argument_packer(options.format, acknowledged)
        self._open: Stream | None = None
        self._lock = threading.Lock()

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs or len(args) != 1:
            raise TypeError(
                f"a stream takes one positional argument, a generator, an iterable or a chunk,"
                f" not {len(args)} positional and {len(kwargs)} keyword arguments"
            )
        items = args[0]
        if hasattr(items, "__aiter__"):
            raise TypeError(
                "an async iterable needs a node of daffi.aio or daffi.trio; a blocking node takes"
                " a generator, an iterable or a single chunk"
            )
        if is_chunk(items):
            self._send_chunk(items)
        else:
            self._send_all(items)

    def _send_chunk(self, chunk: Any) -> None:
        payload = self._pack((chunk,), {})
        with self._lock:
            stream = self._open
            if stream is None:
                stream = self._open = self._begin()
        taken = False
        try:
            taken = self._send(stream, payload)
        finally:
            if not taken:
                with self._lock:
                    if self._open is stream:
                        self._open = None
                _abandon(stream)

    def _send_all(self, items: Iterable[Any]) -> None:
        iterator: Iterator[Any] = iter(items)
        try:
            stream = self._begin()
            pack, send, none = self._pack, self._send, True
            try:
                for item in iterator:
                    none = False
                    if not send(stream, pack((item,), {})):
                        break
                if none and self._acknowledged:  # that nobody is there raises all the same
                    self._wait(stream.opened)
            except BaseException:
                _abandon(stream)
                raise
            stream.end()
        finally:
            if type(iterator) is GeneratorType:
                iterator.close()

    def _begin(self) -> Stream:
        job = self._current(None)
        how: dict[str, Any] = {
            "receiver": self._receiver,
            "acknowledged": self._acknowledged,
            "timeout": self._timeout,
        }
        stream: Stream
        if job is None:
            stream = self._way.open(self._name, self._format, **how)
        else:
            stream = self._way.inside(
                job, self._way.open, self._name, self._format, parent=job, **how
            )
        return stream

    def _send(self, stream: Stream, payload: Any) -> bool:
        """Whether there is somebody who takes it."""
        try:
            if self._current(None) is None:
                pending = stream.send(payload, self._timeout)
                if pending is not None:
                    self._way.settle(pending)
            else:
                self._wait(stream.send, payload)
        except TransmissionFailure as failure:
            if self._acknowledged:
                raise
            _log.warning("a stream to %s that nobody waits for failed: %s", self._name, failure)
            return False
        return True

    def _wait(self, method: Callable[..., Any], *args: Any) -> None:
        job = self._current(None)
        if job is None:
            pending = method(*args, self._timeout)
        else:
            pending = self._way.inside(job, method, *args, self._timeout)
        self._way.settle(pending)


def _abandon(stream: Stream) -> None:
    # Dropping it would do, but the traceback of what went wrong keeps it alive.
    with contextlib.suppress(Exception):
        stream.end()


def is_chunk(value: Any) -> bool:
    if isinstance(value, (str, bytes, bytearray, memoryview, dict)):
        return True
    if isinstance(value, (GeneratorType, list, tuple)):
        return False
    if not hasattr(value, "__iter__"):
        try:
            iter(value)  # by `__getitem__` alone: that begins nothing
        except TypeError:
            return True
    try:
        memoryview(value).release()  # an array
    except TypeError:
        return False
    except Exception:  # a buffer that can't be had at the moment
        return True
    return True

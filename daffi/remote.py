"""`conn.rpc(...).name(args)`: proxies, and the way of arguments and results through them.

A proxy turns attributes into bound functions and keeps them; a bound function packs, has the
call waited for, and unpacks. How to wait is given from outside, as a `Way`. No connection and no
thread may live here. Imports `formats` and `exceptions`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from types import GeneratorType
from typing import Any, NamedTuple, Protocol

from daffi.exceptions import CallTimeout, SerializationError, TransmissionFailure
from daffi.formats import SerdeFormat, argument_packer, unpack_result
from daffi.log import Logger

_log = Logger("daffi.remote")

_FOR_EVER = 1e9  # seconds, thirty years
_MOST_KEPT = 1000  # functions that a proxy keeps; those after them are made each time

Remote = Callable[..., Any]
Serde = SerdeFormat | str
Receivers = str | Iterable[str]


class Stream(Protocol):
    """The engine's side of one stream."""

    def send(self, payload: Any, timeout: float | None = None) -> Any: ...
    def opened(self, timeout: float | None = None) -> Any: ...
    def end(self) -> None: ...


class Way(NamedTuple):
    """How a world calls and waits: the engine's three methods and what goes around them."""

    call: Callable[..., Any]
    post: Callable[..., None]
    open: Callable[..., Stream]
    current: Callable[[None], Any]  # the job whose callback we are in
    inside: Callable[..., Any]  # inside(job, method, ...) where there is one
    settle: Callable[[Any], Any]  # what becomes of an answer that has not come


class Options(NamedTuple):
    """What was said in the brackets of `rpc(...)`, checked."""

    format: SerdeFormat
    receivers: list[str] | None
    timeout: float | None


Binder = Callable[[Any, str, Options], Remote]  # the first is the way of a world


class Proxy:
    """Stands for a worker, or all of them: its attributes are the remote functions.

    Proxies and the functions may be kept, and used from any thread.
    """

    def __init__(self, way: Any, bind: Binder, options: Options) -> None:
        self._daffi = (way, bind, options)

    def __getattr__(self, name: str) -> Remote:
        if name.startswith("_"):
            raise AttributeError(f"{name!r}: names that begin with _ are not remote functions")
        check_name("a function", name)
        way, bind, options = self._daffi
        bound = bind(way, name, options)
        kept = self.__dict__
        if len(kept) > _MOST_KEPT:
            return bound
        # Kept, so that the next time Python finds it without asking here. Two threads may
        # both get here: one function wins.
        winner: Remote = kept.setdefault(name, bound)
        return winner

    def __repr__(self) -> str:
        _, bind, options = self._daffi
        style = getattr(bind, "__name__", "").removeprefix("bind_")
        to = "" if options.receivers is None else f" to {', '.join(options.receivers)}"
        return f"<daffi {style}{to}>"


class Style:
    """One of `rpc`, `cast`, ...: makes proxies, `kept` or `fresh`."""

    __slots__ = ("_bind", "_default", "_kept", "_many", "_timed", "_way")

    def __init__(
        self, way: Any, bind: Binder, *, many: bool = False, timed: bool = True,
        default: float | None = None,
    ) -> None:  # fmt: skip
        self._way = way
        self._bind = bind
        self._many = many
        self._timed = timed
        self._default = default
        self._kept: dict[Any, Proxy] = {}

    def kept(self, timeout: float | None, receiver: Receivers | None, serde: Serde) -> Proxy:
        """One for all who ask for these options; `TypeError` or `ValueError` if they can't be."""
        key = (timeout, receiver, serde)
        try:
            return self._kept[key]
        except KeyError:
            proxy = self.fresh(timeout, receiver, serde)
            if len(self._kept) < 64:
                self._kept[key] = proxy
            return proxy
        except TypeError:  # a list of receivers
            return self.fresh(timeout, receiver, serde)

    def fresh(self, timeout: float | None, receiver: Receivers | None, serde: Serde) -> Proxy:
        """A proxy that nobody else has."""
        wait = check_timeout(timeout)
        if timeout is None:
            wait = self._default
        receivers = _receivers(receiver, self._many)
        options = Options(SerdeFormat.of(serde), receivers, wait if self._timed else None)
        return Proxy(self._way, self._bind, options)


def check_timeout(timeout: float | None) -> float | None:
    """Seconds, or None for ever."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout is a number of seconds or None, not {timeout!r}")
    if not timeout >= 0:  # nor is NaN
        raise ValueError(f"timeout can't be {timeout!r}: pass seconds, 0 or more, or None")
    return None if timeout >= _FOR_EVER else float(timeout)


def check_name(what: str, name: str) -> None:
    """`ValueError` for what can't travel as a name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} can't be named {name!r}: a lone surrogate is no text") from None


def _receivers(receiver: Receivers | None, many: bool) -> list[str] | None:
    if receiver is None:
        return None
    if isinstance(receiver, str):
        check_name("a receiver", receiver)
        return [receiver]
    if not many:
        raise TypeError(
            f"receiver is one name here, not {type(receiver).__name__}; use cast for several"
        )
    names = list(dict.fromkeys(receiver))
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"receiver is a name or a list of names, not {receiver!r}")
    if not names:
        raise ValueError("receiver is an empty list; pass None for everybody")
    for name in names:
        check_name("a receiver", name)
    return names


def bind_rpc(way: Way, name: str, options: Options) -> Remote:
    """Call one worker and wait for its result."""
    format, receivers, timeout = options
    pack = argument_packer(format, True)
    call, _, _, current, inside, settle = way

    def remote(*args: Any, **kwargs: Any) -> Any:
        payload = pack(args, kwargs)
        job = current(None)
        if job is None:
            answer = call(name, format, payload, receivers=receivers, timeout=timeout)
        else:
            answer = inside(
                job, call, name, format, payload, receivers=receivers, timeout=timeout, parent=job
            )
        if type(answer) is not tuple:
            answer = settle(answer)
        return unpack_result(*answer)

    return remote


def bind_cast(way: Way, name: str, options: Options) -> Remote:
    """Call many workers and wait for all: worker to result or exception."""
    format, receivers, timeout = options
    pack = argument_packer(format, True)

    def remote(*args: Any, **kwargs: Any) -> dict[str, Any]:
        payload = pack(args, kwargs)
        job = way.current(None)
        how = {"receivers": receivers, "cast": True, "timeout": timeout}
        try:
            if job is None:
                answers = way.call(name, format, payload, **how)
            else:
                answers = way.inside(job, way.call, name, format, payload, parent=job, **how)
            return unpack_cast(way.settle(answers))
        except CallTimeout as late:
            late.partial = unpack_cast(late.partial)
            raise

    return remote


def unpack_cast(answers: dict[str, Any]) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for worker, answer in answers.items():
        if type(answer) is tuple:
            try:
                results[worker] = unpack_result(*answer)
            except SerializationError as error:
                results[worker] = error
        else:
            results[worker] = answer
    return results


def bind_rpc_nowait(way: Way, name: str, options: Options) -> Remote:
    """Have one worker called, and wait for nothing but room in the pipe."""
    return _bind_post(way, name, options, False)


def bind_cast_nowait(way: Way, name: str, options: Options) -> Remote:
    """Have many workers called, and wait for nothing but room in the pipe."""
    return _bind_post(way, name, options, True)


def _bind_post(way: Way, name: str, options: Options, cast: bool) -> Remote:
    format, receivers, _ = options
    pack = argument_packer(format, False)
    _, post, _, current, inside, _ = way

    def remote(*args: Any, **kwargs: Any) -> None:
        payload = pack(args, kwargs)
        job = current(None)
        if job is None:
            post(name, format, payload, receivers, cast)
        else:
            inside(job, post, name, format, payload, receivers, cast, job)

    return remote


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
            none = True
            try:
                for item in iterator:
                    none = False
                    if not self._send(stream, self._pack((item,), {})):
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
        if job is None:
            return self._way.open(self._name, self._format, **how)
        stream: Stream = self._way.inside(
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

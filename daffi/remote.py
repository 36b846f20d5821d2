"""`conn.rpc(...).name(args)`: proxies, and the way of arguments and results through them.

A proxy turns attributes into bound functions and keeps them; a bound function packs, has the
call waited for, and unpacks. How to wait is given from outside, as a `Way`. No connection and no
thread may live here. Imports `formats` and `exceptions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from daffi.exceptions import CallTimeout, SerializationError
from daffi.formats import SerdeFormat, argument_packer, unpack_result

_FOR_EVER = 1e9  # seconds, thirty years
_MOST_KEPT = 1000  # functions that a proxy keeps; those after them are made each time

Remote = Callable[..., Any]
Serde = SerdeFormat | str
Receivers = str | Iterable[str]


class Way(NamedTuple):
    """How a world calls and waits: the engine's three methods and what goes around them."""

    call: Callable[..., Any]
    post: Callable[..., None]
    open: Callable[..., Any]
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
    call, _, _, current, inside, settle = way
    how: dict[str, Any] = {"receivers": receivers, "cast": True, "timeout": timeout}

    def remote(*args: Any, **kwargs: Any) -> dict[str, Any]:
        payload = pack(args, kwargs)
        job = current(None)
        try:
            if job is None:
                answers = call(name, format, payload, **how)
            else:
                answers = inside(job, call, name, format, payload, parent=job, **how)
            return unpack_cast(settle(answers))
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

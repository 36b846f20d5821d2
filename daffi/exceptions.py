"""Everything that daffi raises, and how a failure crosses the wire.

    DaffiError
    ├── InitializationError      can't start, connect or register; wrong arguments for a node
    │   ├── AuthenticationError      the two sides could not prove who they are
    │   └── ProtocolError            the other side does not speak our protocol
    ├── Disconnected             (a ConnectionError) the connection or the worker is gone
    │   └── Evicted                  another node took our name
    ├── TransmissionFailure      (a LookupError) nobody is there to run it; it never ran
    ├── CallTimeout              (a TimeoutError) no answer in time
    ├── Overloaded               the pipe stayed full; it never ran
    ├── MessageTooLarge          above `max_message`
    ├── SerdeNotAllowed          PICKLE from a peer that is not trusted; it never ran
    ├── SerializationError       arguments or a result that can't be written or read
    ├── RemoteCallError          the callback raised; also the original type where that is safe
    ├── ForkedError              (a RuntimeError) an object of the parent used in a forked child
    └── RemoteTraceback          never raised: the `__cause__` of a RemoteCallError

All of them can be pickled. Here live the classes, and `from_failure`, which makes one of a failure
that came over the wire; taking an exception apart so that it can travel is `failures`' part. No
connection, no registry and no codec may live here. Imports nothing of ours.
"""

from __future__ import annotations

import builtins
import pickle
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, TypeGuard


class DaffiError(Exception):
    """The root: `except DaffiError` catches everything that daffi raises by itself.

    `ran` says of a failed call whether its function ran: False for no, so that it is safe to call
    again; True for yes; None where nobody can know.
    """

    ran: bool | None = None


class InitializationError(DaffiError):
    """A node can't start, connect or register, or was given wrong arguments."""

    ran = False


class AuthenticationError(InitializationError):
    """The two sides could not prove to each other who they are."""


class ProtocolError(InitializationError):
    """The other side does not speak this protocol, or not this version of it."""


class Disconnected(DaffiError, ConnectionError):
    """The connection, or the worker, is gone.

    `sent` is False when the function did not run, and None when that is unknown, as `ran` is.
    `worker` is the name of the worker, where one was chosen.
    """

    def __init__(
        self, message: str = "", *, sent: bool | None = None, worker: str | None = None
    ) -> None:
        super().__init__(message)
        self.ran = self.sent = sent
        self.worker = worker


class Evicted(Disconnected):
    """Another node connected under our name. This one does not come back: give each its own."""


class TransmissionFailure(DaffiError, LookupError):
    """Nobody offers the function, or the receiver is not there. It never ran."""

    ran = False


class CallTimeout(DaffiError, TimeoutError):
    """No answer in time. The function may have run, or still be running.

    `call` is the function's name, `timeout` and `elapsed` are seconds. `receivers` are, for a
    cast, those who had not answered; for any other call those who were named as its receiver,
    none where the choice was the server's. `partial` holds, for a cast, what did come: worker
    to result or exception.
    """

    def __init__(
        self,
        message: str = "",
        *,
        call: str | None = None,
        timeout: float | None = None,
        elapsed: float | None = None,
        receivers: Sequence[str] = (),
        partial: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.call = call
        self.timeout = timeout
        self.elapsed = elapsed
        self.receivers = list(receivers)
        self.partial: dict[str, Any] = dict(partial or {})


class Overloaded(DaffiError):
    """The pipe stayed full for as long as the call could wait. It never ran."""

    ran = False


class MessageTooLarge(DaffiError):
    """The arguments or the result are larger than `max_message`; `ran` tells which."""


class SerdeNotAllowed(DaffiError):
    """PICKLE is not read from a peer that is not trusted; the text says what to set."""


class SerializationError(DaffiError):
    """Arguments or a result can't be written or read; the text says which, and `ran` too."""


class ForkedError(DaffiError, RuntimeError):
    """An object of the parent was used in a forked child. Make new nodes there."""


class RemoteTraceback(DaffiError):
    """The traceback on the worker, as text; shown as the cause of a `RemoteCallError`."""

    def __str__(self) -> str:
        return f"\n\n{super().__str__().rstrip()}"


class RemoteCallError(DaffiError):
    """The callback raised.

    Where it is safe the object is also an instance of the class that was raised, with its
    arguments, so that `except ValueError` works. `remote_type` is the name of that class,
    `remote_traceback` the text of the traceback over there, `worker` who ran it.
    """

    ran = True
    remote_type: str = ""
    remote_traceback: str = ""
    worker: str | None = None
    _original: ClassVar[type[Exception] | None] = None

    def __init__(
        self,
        message: str = "",
        *,
        remote_type: str = "",
        remote_traceback: str = "",
        worker: str | None = None,
    ) -> None:
        super().__init__(message)
        _stamp(self, remote_type, remote_traceback, worker)

    def __str__(self) -> str:
        text = super().__str__()
        if original_of(self) is not None or not self.remote_type:
            return text
        return f"{self.remote_type}: {text}" if text else self.remote_type

    def __reduce__(self) -> tuple[Any, ...]:
        kind = original_of(self) or type(self)
        return _restore, (kind, arguments_of(self), state_of(self, builtin_of(kind)))


def original_of(error: RemoteCallError) -> type[Exception] | None:
    """The class that was raised, where `error` is an instance of it; else None."""
    return type(error)._original  # an attribute of the instance may have any name


def _stamp(error: RemoteCallError, kind: str, traceback: str, worker: str | None) -> None:
    # Past the attributes: the original class may have read-only properties of these names.
    error.__dict__.update(ran=True, remote_type=kind, remote_traceback=traceback, worker=worker)
    _set_cause(error)


def _set_cause(error: RemoteCallError) -> None:
    if error.remote_traceback:
        where = f"on {error.worker}:\n" if error.worker else ""
        error.__cause__ = RemoteTraceback(f"{where}{error.remote_traceback}")


def _restore(
    kind: type[Exception], args: tuple[Any, ...], state: dict[str, Any]
) -> RemoteCallError:
    if issubclass(kind, RemoteCallError):
        error = kind.__new__(kind, *args)
        error.args = args
        error.__dict__.update(state)
    else:
        error = _build(kind, args, state)
    _set_cause(error)
    return error


def builtin_of(kind: type) -> type[Exception]:
    """The nearest class of Python itself, whose `__init__` knows what to do with `args`."""
    for base in kind.__mro__:
        if issubclass(base, Exception) and vars(builtins).get(base.__name__) is base:
            found: type[Exception] = base
            return found
    return Exception


_HEAP_TYPE = 1 << 9  # a class written in Python, not one of the interpreter's own
_NOT_REBUILT = (StopIteration, StopAsyncIteration, TimeoutError, ConnectionError, DaffiError)


def may_be_rebuilt(kind: object) -> TypeGuard[type[Exception]]:
    """Whether a failure of this class may be raised as this class at the caller."""
    if not isinstance(kind, type) or not issubclass(kind, Exception):
        return False
    # A retry written for our own failures must not run somebody's function a second time.
    if issubclass(kind, _NOT_REBUILT):
        return False
    # Before Python 3.11 the TimeoutErrors of asyncio and concurrent.futures stood alone.
    return all(base.__name__ != "TimeoutError" for base in kind.__mro__)


@lru_cache(maxsize=256)
def _joined(kind: Any) -> type[RemoteCallError]:
    """The class that is both a `RemoteCallError` and `kind`. TypeError where there can't be."""
    if not may_be_rebuilt(kind):
        raise TypeError(f"{kind!r} is not rebuilt")
    name = f"RemoteCallError[{kind.__name__}]"
    body = {"__module__": __name__, "__doc__": kind.__doc__, "_original": kind}
    joined: type[RemoteCallError] = type(name, (RemoteCallError, kind), body)
    return joined


def _build(kind: Any, args: tuple[Any, ...], state: dict[str, Any]) -> RemoteCallError:
    """An instance of both. The class's own `__init__` is not run."""
    joined = _joined(kind)
    layout: Any = joined
    while layout.__flags__ & _HEAP_TYPE:
        layout = layout.__base__
    error: RemoteCallError = layout.__new__(joined, *args)
    base = builtin_of(kind)
    base.__init__(error, *args)
    for name in _APART:
        if name in state and hasattr(base, name):
            setattr(error, name, state.pop(name))
    error.__dict__.update(state)
    return error


def arguments_of(exc: BaseException) -> tuple[Any, ...]:
    """What builds the exception again; for an OSError that is more than its `args`."""
    if isinstance(exc, OSError):
        reduced = OSError.__reduce__(exc)
        return tuple(reduced[1])
    return tuple(exc.args)


_APART = ("name", "path")  # what ImportError, NameError and AttributeError don't keep in a dict


def state_of(exc: BaseException, base: type) -> dict[str, Any]:
    """The attributes of an exception whose nearest builtin class is `base`."""
    state = dict(exc.__dict__)
    for name in _APART:
        if hasattr(base, name) and getattr(exc, name) is not None:
            state[name] = getattr(exc, name)
    return state


# The caller's side.


def from_failure(
    *,
    kind: str,
    message: str = "",
    type_name: str = "",
    traceback: str = "",
    arguments: tuple[Any, ...] | None = None,
    pickled: bytes | None = None,
    worker: str | None = None,
    ran: str = "maybe",
    call: str | None = None,
) -> DaffiError:
    """The exception to raise for a failure that came over the wire; never raises itself.

    `ran` says whether the function ran: "no", "maybe" or "yes". `pickled` must be given only
    when it came from a trusted peer: it is unpickled here. A failure that can't be read ends
    as a plain `RemoteCallError`.
    """
    if kind == "raised":
        return _raised(message, type_name, traceback, arguments, pickled, worker)
    if call and kind not in _SAYS_OF_WHAT:
        message = f"{call}: {message}"
    failed = _failed(kind, message, type_name, traceback, worker, ran, call)
    failed.ran = {"no": False, "yes": True}.get(ran)
    return failed


_SAYS_OF_WHAT = ("unreachable", "protocol")  # whose texts have the names already


def _failed(
    kind: str,
    message: str,
    type_name: str,
    traceback: str,
    worker: str | None,
    ran: str,
    call: str | None,
) -> DaffiError:
    if kind in ("disconnected", "evicted", "stopping"):
        gone = Evicted if kind == "evicted" else Disconnected
        return gone(message, sent=False if ran == "no" else None, worker=worker)
    if kind == "timeout":
        return CallTimeout(message, call=call, receivers=() if worker is None else (worker,))
    simple = _SIMPLE.get(kind)
    if simple is not None:
        return simple(message)
    return RemoteCallError(
        message or f"the call failed: {kind}",
        remote_type=type_name,
        remote_traceback=traceback,
        worker=worker,
    )


_SIMPLE: dict[str, type[DaffiError]] = {
    "unreachable": TransmissionFailure,
    "overloaded": Overloaded,
    "too_large": MessageTooLarge,
    "serde_not_allowed": SerdeNotAllowed,
    "serialization": SerializationError,
    "protocol": ProtocolError,
}


def _raised(
    message: str,
    type_name: str,
    traceback: str,
    arguments: tuple[Any, ...] | None,
    pickled: bytes | None,
    worker: str | None,
) -> RemoteCallError:
    error: RemoteCallError | None = None
    try:
        if pickled is not None:
            error = _unpickled(pickled)
        else:
            kind = vars(builtins).get(type_name)
            if isinstance(kind, type) and kind.__name__ == type_name and may_be_rebuilt(kind):
                error = _build(kind, (message,) if arguments is None else tuple(arguments), {})
        if error is not None:
            _stamp(error, type_name, traceback, worker)
            str(error)  # one that can't be shown is of no use to anybody
            return error
    except KeyboardInterrupt:
        raise
    except BaseException:  # whatever a peer's data did: the call failed, and that is what counts
        if pickled is not None:
            return _raised(message, type_name, traceback, arguments, None, worker)
    return RemoteCallError(
        message, remote_type=type_name, remote_traceback=traceback, worker=worker
    )


def _unpickled(pickled: bytes) -> RemoteCallError:
    found = pickle.loads(pickled)
    if isinstance(found, BaseException):
        kind, args = type(found), arguments_of(found)
        state = state_of(found, builtin_of(kind))
    else:
        kind, args, state = found
    if not may_be_rebuilt(kind):
        raise TypeError("not rebuilt")
    return _build(kind, args, state)

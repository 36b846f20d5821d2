"""The tree of exceptions, and failures taken apart and put together again; no engine needed."""

from __future__ import annotations

import asyncio
import builtins
import pickle
import sys
import traceback
from typing import Any

import pytest

from daffi import exceptions
from daffi.exceptions import (
    AuthenticationError,
    CallTimeout,
    DaffiError,
    Disconnected,
    Evicted,
    ForkedError,
    InitializationError,
    MessageTooLarge,
    Overloaded,
    ProtocolError,
    RemoteCallError,
    SerdeNotAllowed,
    SerializationError,
    TransmissionFailure,
    from_failure,
)
from daffi.failures import describe
from daffi.formats import dumps


def raised(error: BaseException) -> BaseException:
    """The exception with a traceback."""
    try:
        raise error
    except BaseException as caught:
        return caught


def travel(error: BaseException, pickled: bool = False) -> Any:
    """What the caller gets when a callback raised `error`."""
    type_name, message, text, arguments, data = describe(raised(error), dumps if pickled else None)
    return from_failure(
        kind="raised", message=message, type_name=type_name, traceback=text, arguments=arguments,
        pickled=data, worker="w", ran="yes", call="f",
    )  # fmt: skip


class Coded(Exception):
    """One whose `__init__` does not take what `args` holds."""

    def __init__(self, code: int, *, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.original = "mine"

    @property
    def worker(self) -> str:
        return "a property that can't be set"


class Reduced(Exception):
    """One that says itself how it is pickled."""

    def __init__(self, lock: Any) -> None:
        super().__init__("reduced")
        self.lock = lock

    def __reduce__(self) -> tuple[Any, ...]:
        return Reduced, (None,)


class Late(TimeoutError):
    """A time-out of the user's."""


# The tree.


@pytest.mark.parametrize(
    ("kind", "parents"),
    [
        (InitializationError, []),
        (AuthenticationError, [InitializationError]),
        (ProtocolError, [InitializationError]),
        (Disconnected, [ConnectionError]),
        (Evicted, [Disconnected, ConnectionError]),
        (TransmissionFailure, [LookupError]),
        (CallTimeout, [TimeoutError]),
        (Overloaded, []),
        (MessageTooLarge, []),
        (SerdeNotAllowed, []),
        (SerializationError, []),
        (RemoteCallError, []),
        (ForkedError, [RuntimeError]),
    ],
)
def test_the_tree(kind: type[DaffiError], parents: list[type]) -> None:
    assert all(issubclass(kind, parent) for parent in [DaffiError, *parents])
    assert str(kind("some text")) == "some text"
    assert kind.__name__ in (exceptions.__doc__ or "")


@pytest.mark.parametrize(
    "error",
    [
        DaffiError("d"),
        InitializationError("i"),
        Disconnected("gone", sent=False, worker="w"),
        Evicted("out"),
        TransmissionFailure("nobody"),
        CallTimeout(
            "late", call="f", timeout=2.0, elapsed=2.1, receivers=["w"], partial={"v": Late("x")}
        ),
        SerializationError("s"),
        ForkedError("f"),
        RemoteCallError("r", remote_type="m.X", remote_traceback="tb", worker="w"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_all_can_be_pickled(error: DaffiError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error) and again.args == error.args
    assert repr(vars(again)) == repr(vars(error))


def test_what_they_tell() -> None:
    assert (Disconnected("x").sent, Disconnected("x").worker) == (None, None)
    late = CallTimeout("x")
    assert (late.call, late.timeout, late.elapsed, late.receivers, late.partial) == (
        None, None, None, [], {},
    )  # fmt: skip


# Builtins, whatever the format.


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad", 1, None, 2.5, True),
        KeyError("key"),
        ZeroDivisionError(),
        FileNotFoundError(2, "no such file", "name"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad byte"),
        SyntaxError("bad", ("file", 1, 2, "text")),
        IndexError(("nested", ["plain"])),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_builtin_is_also_itself(error: Exception, pickled: bool) -> None:
    back: Any = travel(error, pickled)
    assert all(isinstance(back, kind) for kind in (RemoteCallError, type(error)))
    assert str(back) == str(error) and back.args == error.args
    assert back.remote_type == type(error).__name__ and back.worker == "w"
    if isinstance(error, OSError):
        assert (back.errno, back.filename) == (2, "name")
    again = pickle.loads(pickle.dumps(back))
    assert type(again) is type(back) and str(again) == str(back)
    assert again.remote_traceback == back.remote_traceback and again.worker == "w"
    assert str(again.__cause__) == str(back.__cause__)


def test_every_builtin_comes_back_as_something() -> None:
    for name, kind in vars(builtins).items():
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            continue
        if kind.__name__ != name:  # IOError and other old names
            continue
        back = from_failure(kind="raised", message="text", type_name=name, arguments=("text",))
        assert isinstance(back, RemoteCallError)
        excluded = (StopIteration, StopAsyncIteration, TimeoutError, ConnectionError)
        if issubclass(kind, Exception) and not issubclass(kind, excluded):
            structured = ("UnicodeDecodeError", "UnicodeEncodeError", "UnicodeTranslateError")
            if name not in (*structured, "ExceptionGroup"):
                assert isinstance(back, kind), name
        else:
            assert type(back) is RemoteCallError, name


def test_arguments_that_are_not_plain_leave_the_message() -> None:
    back = travel(ValueError(object()))
    assert isinstance(back, ValueError) and "object object" in str(back)
    assert type(travel(UnicodeDecodeError("utf-8", b"x" * 100_000, 0, 1, "r"))) is RemoteCallError


@pytest.mark.parametrize(
    "error",
    [
        StopIteration("t"), StopAsyncIteration("t"), TimeoutError("t"), ConnectionResetError("t"),
        BrokenPipeError("t"), SystemExit("t"), KeyboardInterrupt("t"), GeneratorExit("t"),
        BaseException("t"), asyncio.CancelledError("t"), asyncio.TimeoutError("t"), Late("t"),
        CallTimeout("t"), TransmissionFailure("t"), Overloaded("t"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
@pytest.mark.parametrize("pickled", [False, True])
def test_what_is_never_rebuilt(error: BaseException, pickled: bool) -> None:
    back = travel(error, pickled)
    assert type(back) is RemoteCallError
    assert back.remote_type.endswith(type(error).__name__)
    assert str(back) == f"{back.remote_type}: t"
    forged = from_failure(kind="raised", message="t", pickled=dumps(error))
    assert type(forged) is RemoteCallError


# Other classes, by pickle only.


def test_a_class_of_the_users() -> None:
    back = travel(Coded(7, text="coded"), pickled=True)
    assert isinstance(back, Coded) and isinstance(back, RemoteCallError)
    assert (back.code, str(back), back.original) == (7, "coded", "mine")
    assert back.__dict__["worker"] == "w" and back.worker == "w"
    again = pickle.loads(pickle.dumps(back))
    assert type(again) is type(back) and again.code == 7 and again.worker == "w"
    plain = travel(Coded(7, text="coded"))
    assert type(plain) is RemoteCallError
    assert str(plain) == f"{__name__}.Coded: coded"


def test_its_own_reduction_is_used() -> None:
    back = travel(Reduced(sys._getframe()), pickled=True)
    assert isinstance(back, Reduced) and back.lock is None


def test_a_class_that_is_nowhere_by_name() -> None:
    class Nowhere(ValueError):
        pass

    back = travel(Nowhere("here", 1), pickled=True)
    assert isinstance(back, Nowhere) and back.args == ("here", 1)


def test_one_that_cannot_be_pickled_is_plain() -> None:
    error = Coded(7, text="coded")
    error.frame = sys._getframe()  # type: ignore[attr-defined]
    assert type(travel(error, pickled=True)) is RemoteCallError


def test_import_errors_keep_the_name() -> None:
    back = travel(ImportError("no", name="module", path="file"), pickled=True)
    assert (back.name, back.path) == ("module", "file")
    again = pickle.loads(pickle.dumps(back))
    assert (again.name, again.path) == ("module", "file")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with 3.11")
def test_groups() -> None:
    group = getattr(builtins, "ExceptionGroup")("several", [ValueError("one")])  # noqa: B009
    back = travel(group, pickled=True)
    assert isinstance(back, type(group)) and isinstance(back.exceptions[0], ValueError)


@pytest.mark.parametrize("pickled", [False, True])
def test_relayed_by_a_second_worker(pickled: bool) -> None:
    for error in (ValueError("v"), Coded(7, text="c"), TimeoutError("t")):
        once = travel(error, pickled)
        twice = travel(once, pickled)
        assert type(twice) is type(once)
        assert (str(twice), twice.remote_type) == (str(once), once.remote_type)
        assert "on w:" in twice.remote_traceback  # the first traceback is inside


# Tracebacks.


def test_the_traceback_is_the_cause() -> None:
    def where_it_happens() -> None:
        raise ValueError("v") from KeyError("k")

    with pytest.raises(ValueError) as caught:
        where_it_happens()
    printed = "".join(traceback.format_exception(travel(caught.value)))
    assert "where_it_happens" in printed and "KeyError: 'k'" in printed and "on w:" in printed


def test_recursion_without_end() -> None:
    def down() -> None:
        down()

    def ping() -> None:
        pong()

    def pong() -> None:
        ping()

    for function in (down, ping):
        with pytest.raises(RecursionError) as caught:
            function()
        type_name, _, text, _, _ = describe(caught.value)
        assert type_name == "RecursionError" and function.__name__ in text
        assert len(text.encode()) <= 65_536


def test_everything_is_bounded_and_utf8() -> None:
    _, message, text, arguments, data = describe(raised(ValueError("x" * 10_000_000)), dumps)
    assert len(message) == 65_536 and len(text.encode()) <= 65_536
    assert arguments is None and data is None
    _, message, text, arguments, _ = describe(raised(ValueError("\ud800" + "ž" * 60_000)))
    assert len(message.encode()) <= 65_536 and text.encode() and arguments is None


def test_exceptions_that_resist() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    class Bent(Exception):
        args = property(lambda self: 1 / 0)

    for error in (Mute(), Bent("x")):
        for pickled in (False, True):
            back = travel(error, pickled)
            assert type(back) is RemoteCallError and type(error).__name__ in str(back)


# Failures as a peer may make them up.


class Bomb:
    """Raises what it likes when it is unpickled."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return _raise, (self.error,)


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "pickled",
    [
        b"", b"garbage", dumps(7), dumps((1, 2)), dumps((int, (), {})), dumps((ValueError, 7, {})),
        dumps((ValueError, (), 7)), dumps((UnicodeDecodeError, (1,), {})), dumps(ValueError),
        dumps(Bomb(ValueError("boom"))), dumps(Bomb(SystemExit(3))), dumps(Bomb(MemoryError())),
        dumps((SystemExit, (), {})), dumps((TimeoutError, ("t",), {})),
    ],
)  # fmt: skip
def test_bad_pickles(pickled: bytes) -> None:
    back = from_failure(kind="raised", message="m", type_name="a.B", pickled=pickled, worker="w")
    assert type(back) is RemoteCallError and str(back) == "a.B: m"


def test_hostile_arguments() -> None:
    for name in ("ValueError", "OSError", "UnicodeDecodeError", "SyntaxError", "KeyError"):
        hostile: list[Any] = [(), (None,) * 9, ([],), ("a", "b"), (1, 2, 3, 4, 5), ({}, b""), 7]
        for arguments in hostile:
            back = from_failure(kind="raised", message="m", type_name=name, arguments=arguments)
            assert isinstance(back, RemoteCallError)
            str(back), repr(back)
    for name in ("", "print", "__import__", "object", "Exception.__init__", "IOError"):
        back = from_failure(kind="raised", message="m", type_name=name)
        assert type(back) is RemoteCallError


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("disconnected", Disconnected), ("evicted", Evicted), ("stopping", Disconnected),
        ("unreachable", TransmissionFailure), ("timeout", CallTimeout),
        ("overloaded", Overloaded), ("too_large", MessageTooLarge),
        ("serde_not_allowed", SerdeNotAllowed), ("serialization", SerializationError),
        ("protocol", ProtocolError), ("lost", RemoteCallError), ("cancelled", RemoteCallError),
        ("of a later version", RemoteCallError),
    ],
)  # fmt: skip
def test_other_kinds(kind: str, expected: type[DaffiError]) -> None:
    for ran in ("no", "maybe", "yes"):
        back: Any = from_failure(kind=kind, message="text", worker="w", ran=ran, call="f")
        named = kind in ("unreachable", "protocol")
        assert type(back) is expected and str(back) == ("text" if named else "f: text")
        assert back.ran is {"no": False, "maybe": None, "yes": True}[ran]
        if isinstance(back, Disconnected):
            assert back.sent is (False if ran == "no" else None)
            assert back.worker == "w"

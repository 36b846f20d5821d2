"""What the caller gets when a callback raises, or when a payload can't be written or read."""

from __future__ import annotations

import asyncio
import pickle
import sys
import traceback
from typing import Any

import pytest
from sites import Site, over_router, over_service, over_tcp
from worlds import World

from daffi import callback
from daffi.exceptions import (
    CallTimeout,
    DaffiError,
    RemoteCallError,
    SerializationError,
)


class Custom(Exception):
    """An exception of the user's, with an argument of its own."""

    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return (Custom, (self.code,))


class Weighty(Exception):
    """An exception that carries many bytes."""

    def __init__(self, load: bytes) -> None:
        super().__init__(load)
        self.load = load

    def __str__(self) -> str:
        return f"{len(self.load)} bytes"


class Unpicklable(Exception):
    """An exception that pickle can't take."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.handle = sys.stdout


class Unloadable:
    """A value that pickles and can't be loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (int, ("not a number",))


RAISED: dict[str, Any] = {
    "value": lambda: ValueError("bad value"),
    "key": lambda: KeyError("bad key"),
    "zero": lambda: ZeroDivisionError("bad divisor"),
    "unicode": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad byte"),
    "missing": lambda: FileNotFoundError(2, "bad file", "name"),
    "custom": lambda: Custom(7),
    "unpicklable": lambda: Unpicklable("bad handle"),
    "stop": lambda: StopIteration("bad stop"),
    "timeout": lambda: TimeoutError("bad time"),
    "connection": lambda: ConnectionResetError("bad line"),
    "broken": lambda: BrokenPipeError("bad pipe"),
    "exit": lambda: SystemExit("bad exit"),
    "interrupt": lambda: KeyboardInterrupt("bad key press"),
    "base": lambda: BaseException("bad base"),
    "generator-exit": lambda: GeneratorExit("bad generator"),
    "cancelled": lambda: asyncio.CancelledError("bad cancel"),
    "ours": lambda: CallTimeout("bad inner"),
    "large": lambda: ValueError("x" * 10_485_760),
    "surrogate": lambda: ValueError("lone \ud800 surrogate"),
}


@callback
def errors_raise(what: str) -> None:
    """Raise one of them."""
    raise RAISED[what]()


@callback
def errors_raise_weighty(size: int) -> None:
    """Raise one of that size."""
    raise Weighty(bytes(size))


@callback
async def errors_raise_async(what: str) -> None:
    """The same in a coroutine."""
    raise RAISED[what]()


@callback
def errors_chain() -> None:
    """Raise with a cause."""
    try:
        raise KeyError("the cause")
    except KeyError as error:
        raise ValueError("the effect") from error


@callback
def errors_recurse(depth: int = 0) -> int:
    """Never come back."""
    return errors_recurse(depth + 1)


@callback
def errors_unwritable() -> Any:
    """A result that no format can write."""
    return sys._getframe()


@callback
def errors_unloadable() -> Any:
    """A result that can be written and not read."""
    return Unloadable()


async def raised(world: World, site: Site, what: str, serde: str, kind: str) -> BaseException:
    function = getattr(site.conn.rpc(timeout=20, serde=serde), kind)
    with pytest.raises(RemoteCallError) as caught:
        await world.call(function, what)
    return caught.value


KINDS = pytest.mark.parametrize("kind", ["errors_raise", "errors_raise_async"])
SERDES = pytest.mark.parametrize("serde", ["PICKLE", "JSON", "MSGPACK"])


@KINDS
@SERDES
@over_tcp
@pytest.mark.parametrize(
    ("what", "original"),
    [
        ("value", ValueError),
        ("key", KeyError),
        ("zero", ZeroDivisionError),
        ("unicode", UnicodeDecodeError),
        ("missing", FileNotFoundError),
    ],
)
async def test_a_builtin_is_an_instance_of_itself_too(
    world: World, site: Site, kind: str, serde: str, what: str, original: type[Exception]
) -> None:
    error: Any = await raised(world, site, what, serde, kind)
    assert {original, DaffiError} <= set(type(error).__mro__)
    assert error.remote_type.endswith(original.__name__)
    assert error.worker == site.worker_name
    assert "bad" in str(error)
    assert "errors_raise" in error.remote_traceback and "test_errors.py" in error.remote_traceback
    if what in ("value", "key", "zero"):
        assert error.args[-1] == RAISED[what]().args[-1]
    await site.settled()


@over_tcp
async def test_the_remote_traceback_is_printed_as_the_cause(world: World, site: Site) -> None:
    error: Any = await raised(world, site, "value", "PICKLE", "errors_raise")
    assert error.__cause__ is not None
    printed = "".join(traceback.format_exception(error))
    assert "raise RAISED[what]()" in printed and "test_errors.py" in printed
    assert site.worker_name in printed
    with pytest.raises(ValueError, match="the effect") as caught:
        await world.call(site.conn.rpc(timeout=5).errors_chain)
    assert "the cause" in "".join(traceback.format_exception(caught.value))


@KINDS
@over_tcp
async def test_a_custom_exception_comes_back_by_pickle(world: World, site: Site, kind: str) -> None:
    error: Any = await raised(world, site, "custom", "PICKLE", kind)
    assert isinstance(error, Custom) and error.code == 7


@KINDS
@over_tcp
async def test_a_custom_exception_is_plain_elsewhere(world: World, site: Site, kind: str) -> None:
    for serde in ("JSON", "MSGPACK"):
        error: Any = await raised(world, site, "custom", serde, kind)
        assert not isinstance(error, Custom)
        assert error.remote_type.endswith("Custom") and "code 7" in str(error)
    error = await raised(world, site, "unpicklable", "PICKLE", kind)
    assert error.remote_type.endswith("Unpicklable") and "bad handle" in str(error)


@KINDS
@over_tcp
@pytest.mark.parametrize(
    "what",
    ["stop", "timeout", "connection", "broken", "exit", "interrupt", "base",
     "generator-exit", "cancelled", "ours"],
)  # fmt: skip
async def test_what_must_not_be_mistaken_for_ours(
    world: World, site: Site, kind: str, what: str
) -> None:
    if kind == "errors_raise_async" and what == "cancelled":
        pytest.skip("a coroutine that says it was cancelled was")
    error: Any = await raised(world, site, what, "PICKLE", kind)
    families = {StopIteration, TimeoutError, ConnectionError, SystemExit, KeyboardInterrupt}
    assert not families & set(type(error).__mro__)
    assert Exception in type(error).__mro__
    assert "bad" in str(error) + error.remote_traceback
    # The node lives, with the same thread.
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3
    assert await world.call(site.conn.rpc(timeout=5).add_async, 1, 2) == 3
    await site.settled()


@over_tcp
async def test_a_large_exception_keeps_its_class_up_to_half_a_mebibyte(
    world: World, site: Site
) -> None:
    function = site.conn.rpc(timeout=20).errors_raise_weighty
    for size in (70_000, 300_000, 520_000):
        with pytest.raises(Weighty) as caught:
            await world.call(function, size)
        assert caught.value.load == bytes(size)
    with pytest.raises(RemoteCallError, match="600000 bytes") as plain:
        await world.call(function, 600_000)
    assert not isinstance(plain.value, Weighty)


@over_tcp
async def test_it_can_be_pickled_on(world: World, site: Site) -> None:
    for what in ("value", "custom", "exit", "missing", "unicode"):
        error: Any = await raised(world, site, what, "PICKLE", "errors_raise")
        again = pickle.loads(pickle.dumps(error))
        assert [kind.__name__ for kind in type(again).__mro__] == [
            kind.__name__ for kind in type(error).__mro__
        ]
        assert str(again) == str(error)
        for name in ("remote_type", "remote_traceback", "worker"):
            assert getattr(again, name) == getattr(error, name)


async def test_recursion_without_end(world: World, site: Site) -> None:
    with pytest.raises(RecursionError):
        await world.call(site.conn.rpc(timeout=20).errors_recurse)
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3


@SERDES
async def test_a_message_of_ten_mebibytes(world: World, site: Site, serde: str) -> None:
    error = await raised(world, site, "large", serde, "errors_raise")
    assert isinstance(error, ValueError)
    assert 1_000 < len(str(error)) < 200_000  # cut
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3


@SERDES
@over_tcp
async def test_a_message_that_utf8_cannot_say(world: World, site: Site, serde: str) -> None:
    error = await raised(world, site, "surrogate", serde, "errors_raise")
    assert isinstance(error, ValueError) and "surrogate" in str(error)


@over_tcp
async def test_an_argument_that_cannot_be_written(world: World, site: Site) -> None:
    before = site.caller.stats()["bytes_sent"]
    for style in (site.conn.rpc, site.conn.rpc_nowait, site.conn.cast, site.conn.cast_nowait):
        for serde in ("PICKLE", "JSON", "MSGPACK"):
            with pytest.raises(SerializationError) as caught:
                await world.call(style(serde=serde).echo, sys._getframe())
            assert "frame" in str(caught.value)
    for style in (site.conn.stream, site.conn.stream_nowait):
        with pytest.raises(SerializationError):
            await world.call(style(serde="PICKLE").echo, [sys._getframe()])
    assert site.caller.stats()["bytes_sent"] - before < 5_000
    await site.settled()


@over_tcp
async def test_a_result_that_cannot_be_written(world: World, site: Site) -> None:
    for serde in ("PICKLE", "JSON", "MSGPACK"):
        with pytest.raises(SerializationError) as caught:
            await world.call(site.conn.rpc(timeout=5, serde=serde).errors_unwritable)
        assert "frame" in str(caught.value) and "errors_unwritable" in str(caught.value)
    await site.settled()


@over_tcp
async def test_what_cannot_be_read(world: World, site: Site) -> None:
    with pytest.raises(SerializationError):
        await world.call(site.conn.rpc(timeout=5).echo, Unloadable())
    with pytest.raises(SerializationError):
        await world.call(site.conn.rpc(timeout=5).errors_unloadable)
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3
    await site.settled()


@callback
def errors_exit_with(how: str) -> None:
    """Leave by the front door."""
    if how == "exit":
        sys.exit(0)
    raise KeyboardInterrupt


@over_service
@over_tcp
async def test_leaving_fails_the_call_and_not_the_node(world: World, site: Site) -> None:
    thread = await world.call(site.conn.rpc(timeout=5).thread_id)
    for how in ("exit", "interrupt") * 3:
        with pytest.raises(RemoteCallError):
            await world.call(site.conn.rpc(timeout=5).errors_exit_with, how)
    assert await world.call(site.conn.rpc(timeout=5).thread_id) == thread


@over_router
@over_tcp
async def test_errors_of_several_workers_are_their_own(world: World, site: Site) -> None:
    await site.join("second", expose=None)
    answers = await world.call(site.conn.cast(timeout=5).errors_raise, "custom")
    assert {name: (error.worker, error.code) for name, error in answers.items()} == {
        "worker": ("worker", 7),
        "second": ("second", 7),
    }

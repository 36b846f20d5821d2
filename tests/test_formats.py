"""Payloads of arguments and results, before and after they travel; no engine needed."""

from __future__ import annotations

import array
import pickle
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from daffi import SerdeFormat
from daffi.exceptions import SerializationError
from daffi.formats import (
    MOST_BUFFERS,
    OUT_OF_BAND,
    dumps,
    pack_arguments,
    pack_result,
    unpack_arguments,
    unpack_result,
)

np = pytest.importorskip("numpy")

PICKLE, JSON, MSGPACK, OPAQUE = SerdeFormat
BIG = OUT_OF_BAND


def engine(payload: Any) -> Any:
    """What the engine makes of a PICKLE payload: buffers as new bytes, or bytearrays."""
    if isinstance(payload, bytes):
        return payload
    first, *buffers = payload
    views = [memoryview(buffer) for buffer in buffers]
    assert all(view.format == "B" and view.c_contiguous and view.ndim == 1 for view in views)
    return [first, *(bytes(view) if view.readonly else bytearray(view) for view in views)]


def there(*args: Any, borrow: bool = True, **kwargs: Any) -> tuple[Any, int]:
    """Arguments as they arrive, and how many buffers went beside the pickle."""
    payload = pack_arguments(PICKLE, args, kwargs, borrow)
    count = 0 if isinstance(payload, bytes) else len(payload) - 1
    return unpack_arguments(PICKLE, engine(payload)), count


def test_names_and_tags() -> None:
    assert [int(one) for one in (PICKLE, JSON, MSGPACK, OPAQUE)] == [1, 2, 3, 4]
    for name in ("json", "JSON", "Json"):
        assert SerdeFormat(name) is JSON and SerdeFormat.of(name) is JSON  # type: ignore[arg-type]
    assert SerdeFormat.of(MSGPACK) is MSGPACK and SerdeFormat(4) is OPAQUE
    for wrong in ("yaml", "", 0, 5, None):
        with pytest.raises(ValueError, match="PICKLE, JSON, MSGPACK, OPAQUE"):
            SerdeFormat(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("borrow", [True, False])
@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((1, "a", None, 2.5, True), {}),
        (([1, [2]], {"a": (1,)}, {3}), {"k": b"x", "l": [1]}),
        ((), {"only": 1}),
        ((b"x" * 10, bytearray(b"y")), {}),
        ((b"x" * BIG, bytearray(b"y" * BIG)), {"k": b"z" * BIG}),
    ],
)
def test_arguments_arrive(args: tuple[Any, ...], kwargs: dict[str, Any], borrow: bool) -> None:
    (got, named), _ = there(*args, borrow=borrow, **kwargs)
    assert got == args and named == kwargs
    assert [type(one) for one in got] == [type(one) for one in args]


def test_large_bytes_go_beside_the_pickle() -> None:
    assert there(b"x" * (BIG - 1))[1] == 0
    assert there(b"x" * BIG)[1] == 1
    assert there(bytearray(BIG), borrow=True)[1] == 1
    assert there(bytearray(BIG), borrow=False)[1] == 0  # the caller may change it
    assert there(b"x" * BIG, borrow=False)[1] == 1
    for holder in ([b"x" * BIG, 1], (b"x" * BIG, 1), {"a": b"x" * BIG, "b": 1}):
        (args, _), count = there(holder)
        assert args == (holder,) and type(args[0]) is type(holder) and count == 1
    assert there(k=[b"x" * BIG])[1] == 1
    assert there([[b"x" * BIG]])[1] == 0  # deeper is not looked at


def test_they_come_back_as_the_object_that_was_received_into() -> None:
    for data in (b"x" * BIG, bytearray(b"x" * BIG)):
        received = engine(pack_result(PICKLE, data))
        assert unpack_result(PICKLE, received) is received[1]
        received = engine(pack_result(PICKLE, [data]))
        assert unpack_result(PICKLE, received)[0] is received[1]


def test_nothing_of_the_callers_is_changed() -> None:
    row = [b"x" * BIG, 1]
    table = {"a": row[0]}
    assert there(row, table)[0] == ((row, table), {})
    assert type(row[0]) is bytes and type(table["a"]) is bytes


def test_the_same_bytes_twice() -> None:
    data = b"x" * BIG
    payload = pack_result(PICKLE, [data] * 50)
    assert len(payload) == 2 and len(payload[0]) < 2 * BIG
    assert unpack_result(PICKLE, engine(payload)) == [data] * 50


def test_a_thousand_buffers_at_most() -> None:
    many = [bytes([i % 256]) * BIG for i in range(MOST_BUFFERS)]
    payload = pack_arguments(PICKLE, (many, b"last" * BIG), {}, True)
    assert len(payload) == MOST_BUFFERS + 1
    (got, last), _ = unpack_arguments(PICKLE, engine(payload))[0], None
    assert got == many and last == b"last" * BIG


def test_arrays() -> None:
    small, large = np.arange(10), np.arange(100_000.0)
    for shape in (small, large, large.reshape(400, 250), np.asfortranarray(large.reshape(4, -1))):
        (args, _), count = there(shape)
        assert count == (shape is not small)
        assert (args[0] == shape).all() and args[0].dtype == shape.dtype
        assert args[0].flags.writeable
        assert args[0].flags.f_contiguous == shape.flags.f_contiguous
    (args, _), _ = there(large[::2])
    assert (args[0] == large[::2]).all() and args[0].flags.writeable
    assert there(large, borrow=False)[1] == 0
    frozen = large.copy()
    frozen.flags.writeable = False
    (args, _), count = there(frozen, borrow=False)
    assert count == 1 and not args[0].flags.writeable
    assert there({"deep": [[large]]})[1] == 1
    (args, _), _ = there(array.array("d", [1.5]))
    assert args[0] == array.array("d", [1.5])


def test_buffers_that_are_not_contiguous_are_refused_not_mangled() -> None:
    view = memoryview(bytearray(4 * BIG))[::2]
    with pytest.raises(SerializationError):
        pack_arguments(PICKLE, (pickle.PickleBuffer(view),), {}, True)


# By value.


@pytest.fixture
def main_module() -> Iterator[types.ModuleType]:
    """A `__main__` with a function and a class in it, taken away before unpickling."""
    module = sys.modules["__main__"]
    code = """
def tripled(value):
    return value * 3
class Point:
    def __init__(self, x):
        self.x = x
"""
    exec(code, vars(module))
    yield module
    for name in ("tripled", "Point"):
        vars(module).pop(name, None)


def test_what_main_defines_travels_by_value(main_module: Any) -> None:
    payload = pack_arguments(PICKLE, (main_module.tripled, main_module.Point(5)), {}, True)
    del main_module.tripled, main_module.Point
    (function, point), _ = unpack_arguments(PICKLE, payload)
    assert function(4) == 12 and point.x == 5


def test_what_plain_pickle_refuses_travels_by_value() -> None:
    factor = 10

    def numbers() -> Iterator[int]:
        yield factor

    class Local:
        value = 3

    module = types.ModuleType("made_at_run_time")
    module.seven = 7  # type: ignore[attr-defined]
    (args, _), _ = there(lambda x: x * factor, numbers, Local(), module)
    assert args[0](4) == 40 and list(args[1]()) == [10]
    assert args[2].value == 3 and args[3].seven == 7
    large = np.arange(100_000.0)
    (args, _), count = there(lambda: 1, large, b"x" * BIG)
    assert args[0]() == 1 and (args[1] == large).all() and count == 2


def test_cloudpickle_is_used_only_where_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)  # importing it fails
    there([1, "about __main__", len, test_arrays, ValueError], {"a": b"x" * BIG})
    with pytest.raises(SerializationError):
        there(lambda: 1)


def test_pickles_that_cannot_be_made_or_read() -> None:
    class Bad:
        def __reduce__(self) -> Any:
            raise ZeroDivisionError("inside")

    for value in (sys._getframe(), Bad(), (i for i in [1])):
        with pytest.raises(SerializationError, match="the arguments can't be pickled"):
            pack_arguments(PICKLE, (value,), {}, True)
        with pytest.raises(SerializationError, match="it can't be pickled"):
            pack_result(PICKLE, value)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(SerializationError, match="RecursionError"):
        pack_result(PICKLE, deep)
    while deep:
        deep = deep[0]
    for data in (b"", b"garbage", [b"garbage", b"x"], pickle.dumps(7)[:-1], []):
        with pytest.raises(SerializationError, match="the result can't be unpickled"):
            unpack_result(PICKLE, data)
        with pytest.raises(SerializationError):
            unpack_arguments(PICKLE, data)


@pytest.mark.parametrize("wrong", [7, None, [1], ([], []), (1, {}), ("ab", {}), ((), {}, 1), {}])
def test_arguments_of_the_wrong_shape(wrong: Any) -> None:
    with pytest.raises(SerializationError, match=r"\(args, kwargs\)"):
        unpack_arguments(JSON, wrong)
    with pytest.raises(SerializationError, match=r"\(args, kwargs\)"):
        unpack_arguments(PICKLE, dumps(wrong))


def test_arguments_that_fail_as_they_are_taken_apart() -> None:
    class Odd:
        def __iter__(self) -> Any:
            raise LookupError("inside")

    with pytest.raises(SerializationError, match=r"\(args, kwargs\)"):
        unpack_arguments(JSON, Odd())


def test_json_and_msgpack_pass_through() -> None:
    for format in (JSON, MSGPACK):
        args, kwargs = ([1],), {"a": object()}
        assert pack_arguments(format, args, kwargs, False) == (args, kwargs)
        assert unpack_arguments(format, [[[1]], {"a": 2}]) == (([1],), {"a": 2})
        assert pack_result(format, args) is args and unpack_result(format, args) is args


# OPAQUE


def test_opaque_takes_one_value() -> None:
    for value in (b"bytes", "text", b""):
        assert pack_arguments(OPAQUE, (value,), {}, True) is value
        assert pack_result(OPAQUE, value) is value
        assert unpack_arguments(OPAQUE, value) == ((value,), {})
        assert unpack_result(OPAQUE, value) is value
    assert pack_result(OPAQUE, None) is None
    owned = bytearray(b"owned")
    assert pack_arguments(OPAQUE, (owned,), {}, True) is owned
    for borrowed in (owned, memoryview(owned)):
        copy = pack_arguments(OPAQUE, (borrowed,), {}, False)
        assert type(copy) is bytes and copy == owned
    numbers = memoryview(array.array("i", [1, 2]))
    assert pack_arguments(OPAQUE, (numbers,), {}, True).format == "B"
    assert pack_arguments(OPAQUE, (memoryview(b"abcd")[::2],), {}, True) == b"ac"
    assert pack_arguments(OPAQUE, (memoryview(b""),), {}, True) == b""


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((b"", b""), {}), ((), {"a": b""}), ((b"",), {"a": b""}), ((7,), {}), ((None,), {}),
     (([b""],), {}), ((np.zeros(3),), {}), ((array.array("i"),), {})],
)  # fmt: skip
def test_opaque_refuses_the_rest(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="exactly one positional bytes, bytearray, memoryview or"):
        pack_arguments(OPAQUE, args, kwargs, True)
    if args and not isinstance(args[0], bytes) and args[0] is not None:
        with pytest.raises(TypeError, match="returns bytes, str or None"):
            pack_result(OPAQUE, args[0])

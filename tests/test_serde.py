"""The formats as they travel: what arrives equals what was sent, or the error names the place."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import math
import uuid
from typing import Any

import pytest
from gates import Gate
from programs import Programs
from sites import Site, over_service, over_tcp
from worlds import World

from daffi import callback
from daffi.exceptions import SerializationError

np = pytest.importorskip("numpy")

PLAIN: list[Any] = [
    None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**64 - 1, 0.5, 1e300, "", "text",
    "\u00fc\U0001f600\0", [], {}, [1, [2, [3]]], {"a": {"b": [None]}}, ["x" * 70_000],
]  # fmt: skip


@callback
def serde_type(value: Any) -> str:
    """What arrives is a what."""
    return f"{type(value).__module__}.{type(value).__name__}"


@callback
def serde_write(value: Any) -> Any:
    """Write into what came, and give it back."""
    value += 1
    return value


@callback
def serde_call(function: Any, *args: Any) -> Any:
    """Call what came."""
    return function(*args)


@callback
def serde_make(what: str) -> Any:
    """A result that travels by value."""
    if what == "lambda":
        return lambda value: value * 3
    if what == "none":
        return None
    if what == "number":
        return 7
    return b"bytes" if what == "bytes" else "text"


@pytest.mark.parametrize("serde", ["PICKLE", "JSON", "MSGPACK"])
async def test_plain_values(world: World, site: Site, serde: str) -> None:
    echo = site.conn.rpc(timeout=10, serde=serde).echo
    for value in PLAIN:
        back = await world.call(echo, value)
        assert back == value and type(back) is type(value)
    assert await world.call(echo, PLAIN) == PLAIN
    every = site.conn.rpc(timeout=10, serde=serde).every
    assert await world.call(every, 1, "x", k=[1]) == [[1, "x"], {"k": [1]}]
    await site.settled()


@over_tcp
@over_service
async def test_pickle_of_anything(world: World, site: Site) -> None:
    echo = site.conn.rpc(timeout=10).echo
    for value in (
        (1, (2,)), {1, 2}, b"bytes", bytearray(b"x"), 2**200, 1 + 2j, math.inf,
        datetime.datetime(2024, 2, 29), decimal.Decimal("0.1"), uuid.UUID(int=7),
        collections.OrderedDict(b=1, a=2), array.array("d", [1.5]), range(3), {(1, 2): None},
        math, len, ValueError,
    ):  # fmt: skip
        back = await world.call(echo, value)
        assert back == value and type(back) is type(value)
    same: list[Any] = [1]
    first, second = await world.call(echo, [same, same])
    assert first is second
    same.append(same)
    back = await world.call(echo, same)
    assert back[1] is back


@over_tcp
async def test_lambdas_and_closures_travel_by_value(world: World, site: Site) -> None:
    factor = 10
    call = site.conn.rpc(timeout=10).serde_call
    assert await world.call(call, lambda value: value * factor, 4) == 40

    def inner() -> int:
        return factor + 1

    assert await world.call(call, inner) == 11

    class Local:
        def __init__(self, value: int) -> None:
            self.value = value

    assert (await world.call(site.conn.rpc(timeout=10).echo, Local(5))).value == 5
    assert (await world.call(site.conn.rpc(timeout=10).serde_make, "lambda"))(5) == 15


async def test_arrays_come_back_writable(world: World, site: Site) -> None:
    write = site.conn.rpc(timeout=20).serde_write
    for shape in ((3,), (1000, 1000), (0,)):
        sent = np.zeros(shape)
        back = await world.call(write, sent)
        assert back.shape == shape and (back == 1).all()
        assert back.flags.writeable
        back += 1
        assert (sent == 0).all()  # the caller's own is untouched
    fortran = np.asfortranarray(np.arange(200_000.0).reshape(400, 500))
    back = await world.call(site.conn.rpc(timeout=20).echo, fortran)
    assert (back == fortran).all() and back.flags.f_contiguous
    sliced = np.arange(400_000)[::2]
    assert (await world.call(site.conn.rpc(timeout=20).echo, sliced) == sliced).all()
    many = [np.full(20_000, i) for i in range(100)]
    back = await world.call(site.conn.rpc(timeout=20).echo, many)
    assert all((one == i).all() and one.flags.writeable for i, one in enumerate(back))
    await site.settled()


@pytest.mark.parametrize("serde", ["PICKLE", "JSON", "MSGPACK", "OPAQUE"])
async def test_five_megabytes(world: World, site: Site, serde: str) -> None:
    echo = site.conn.rpc(timeout=20, serde=serde).echo
    text = "0123456789" * 500_000
    assert await world.call(echo, text) == text
    if serde != "JSON":
        data = bytes(range(256)) * 20_000
        for value in (data, bytearray(data), memoryview(data)):
            if serde != "OPAQUE" and isinstance(value, memoryview):
                continue
            back = await world.call(echo, value)
            assert back == data
            assert type(back) is (bytearray if serde == "PICKLE" and value is not data else bytes)
    await site.settled()


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1_048_576, 1_048_577])
@over_tcp
async def test_sizes_around_the_edges(world: World, site: Site, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    for serde in ("PICKLE", "MSGPACK", "OPAQUE"):
        assert await world.call(site.conn.rpc(timeout=20, serde=serde).echo, data) == data
    await site.settled()


JSON_ERRORS: list[tuple[Any, str]] = [
    ({"a": [1, {"b": math.nan}]}, "b"),
    ([0, math.inf], "1"),
    ([-math.inf], "0"),
    ({"outer": {1: "x"}}, "outer"),
    (["fine", "lone \ud800"], "1"),
    ({"k": b"bytes"}, "k"),
    ({"k": {1, 2}}, "k"),
    ({"k": object()}, "k"),
    ([2**64], "0"),
    ([-(2**63) - 1], "0"),
]


@over_tcp
@over_service
@pytest.mark.parametrize(("value", "place"), JSON_ERRORS, ids=[str(i) for i in range(10)])
async def test_json_errors_name_the_place(world: World, site: Site, value: Any, place: str) -> None:
    with pytest.raises(SerializationError) as caught:
        await world.call(site.conn.rpc(timeout=5, serde="JSON").echo, value)
    assert place in str(caught.value)
    assert await world.call(site.conn.rpc(timeout=5, serde="JSON").echo, [1]) == [1]


@over_tcp
async def test_tuples_become_lists(world: World, site: Site) -> None:
    for serde in ("JSON", "MSGPACK"):
        back = await world.call(site.conn.rpc(timeout=5, serde=serde).echo, (1, (2, 3)))
        assert back == [1, [2, 3]]


@over_tcp
async def test_msgpack_says_more_than_json(world: World, site: Site) -> None:
    echo = site.conn.rpc(timeout=5, serde="MSGPACK").echo
    for value in (b"bytes", {1: "a", None: "b", 2.5: "c", b"k": "d"}, [b"", {"": b""}]):
        assert await world.call(echo, value) == value
    back = await world.call(echo, {(1, 2): "tuple"})
    assert back == {(1, 2): "tuple"}  # as a key it has to be hashable again
    assert math.isnan(await world.call(echo, math.nan))
    for wrong in ({"k": {1, 2}}, [2**64], [object()]):
        with pytest.raises(SerializationError):
            await world.call(echo, wrong)


@over_tcp
@over_service
@pytest.mark.parametrize("serde", ["JSON", "MSGPACK"])
async def test_depth_is_limited(world: World, site: Site, serde: str) -> None:
    echo = site.conn.rpc(timeout=5, serde=serde).echo

    def nest(depth: int) -> Any:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        return value

    assert await world.call(echo, nest(120)) == nest(120)
    for depth in (129, 5_000, 200_000):
        with pytest.raises(SerializationError):
            await world.call(echo, nest(depth))
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(SerializationError):
        await world.call(echo, circle)


@over_tcp
async def test_opaque_takes_one_buffer_or_text(world: World, site: Site) -> None:
    rpc = site.conn.rpc(timeout=5, serde="OPAQUE")
    for sent, kind in ((b"x", "bytes"), (bytearray(b"x"), "bytes"), (memoryview(b"x"), "bytes"),
                       ("x", "str"), (b"", "bytes"), ("", "str")):  # fmt: skip
        assert await world.call(rpc.serde_type, sent) == f"builtins.{kind}"
    assert await world.call(rpc.echo, "\u00fc") == "\u00fc"
    assert await world.call(rpc.nothing, b"x") is None
    assert await world.call(rpc.serde_make, "bytes") == b"bytes"
    assert await world.call(rpc.serde_make, "none") is None
    with pytest.raises(SerializationError, match="serde_make"):
        await world.call(rpc.serde_make, "number")


@over_tcp
@over_service
async def test_opaque_refuses_the_rest(world: World, site: Site, gate: Gate) -> None:
    before = site.caller.stats()["bytes_sent"]
    for style in (site.conn.rpc, site.conn.rpc_nowait, site.conn.cast, site.conn.cast_nowait):
        proxy = style(serde="OPAQUE")
        for args, kwargs in (
            ((), {}), ((1,), {}), ((b"x", b"y"), {}), ((), {"value": b"x"}), ((None,), {}),
            ((b"x",), {"more": 1}), (([b"x"],), {}), (({},), {}),
        ):  # fmt: skip
            with pytest.raises(TypeError, match=r"OPAQUE"):
                await world.call(proxy.echo, *args, **kwargs)
    assert site.caller.stats()["bytes_sent"] - before < 1_000
    await site.settled()


async def test_a_script_sends_what_its_main_defines(
    world: World, site: Site, programs: Programs
) -> None:
    script = programs.start("script.py", site.url)
    told = {}
    while (line := await world.thread(script.line)) != "left":
        name, _, value = line.partition(" ")
        told[name] = value
    assert told == {
        "instance": "Point(3, 4)", "function": "9", "class": "Point(1, 1)", "lambda": "6",
        "inner": "25", "result": "Point(5, 6)", "generator": "[0, 1, 4]",
    }  # fmt: skip
    assert script.wait() == 0, script.stderr


def test_cloudpickle_is_not_imported_before_it_is_needed(programs: Programs) -> None:
    program = programs.start("imports.py")
    assert program.line() == ""
    assert program.wait() == 0, program.stderr

"""Streams: order, one at a time, acknowledgements, what may be streamed, and how they fail."""

from __future__ import annotations

import array
import itertools
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from gates import Gate, gate_of
from loops import pause
from memory import resident
from sites import Site, awaited_only, over_service, over_tcp
from worlds import World

from daffi import callback
from daffi.exceptions import CallTimeout, TransmissionFailure

whole: list[Any] = []  # what `stream_opaque` got


@callback
def stream_keep(item: tuple[int, Any]) -> None:
    """Keep an item; note whether two are ever here at once."""
    key, value = item
    gate = gate_of(key)
    gate.enter()
    time.sleep(0.001)
    gate.notes.append(value)
    gate.leave()


@callback
async def stream_keep_async(item: tuple[int, Any]) -> None:
    """The same in a coroutine."""
    stream_keep(item)


@callback
def stream_waits_at(item: tuple[int, int, int]) -> None:
    """Wait at the gate with one of the items."""
    key, value, stop = item
    gate = gate_of(key)
    gate.enter()
    if value == stop:
        gate.wait()
    gate.notes.append(value)
    gate.leave()


@callback
async def stream_waits_at_async(item: tuple[int, int, int]) -> None:
    """The same in a coroutine."""
    key, value, stop = item
    gate = gate_of(key)
    gate.enter()
    if value == stop:
        await gate.wait_here()
    gate.notes.append(value)
    gate.leave()


@callback
def stream_raises_at(item: tuple[int, int, int]) -> None:
    """Raise with one of the items."""
    key, value, stop = item
    if value == stop:
        raise ValueError(f"not {value}")
    gate_of(key).notes.append(value)


@callback
async def stream_raises_at_async(item: tuple[int, int, int]) -> None:
    """The same in a coroutine."""
    stream_raises_at(item)


@callback
def stream_opaque(item: Any) -> None:
    """Keep what an OPAQUE item arrives as."""
    whole.append(item)


@pytest.mark.parametrize("style", ["stream", "stream_nowait"])
@pytest.mark.parametrize("function", ["stream_keep", "stream_keep_async"])
@pytest.mark.site(worker={"workers": 4})
async def test_one_at_a_time_and_in_order(
    world: World, site: Site, gate: Gate, style: str, function: str
) -> None:
    send = getattr(getattr(site.conn, style)(serde="PICKLE"), function)
    assert await world.call(send, ((gate.key, i) for i in range(200))) is None
    await world.until(lambda: len(gate.notes) == 200)
    assert gate.notes == list(range(200))
    assert gate.most == 1
    await site.settled()


KINDS = pytest.mark.parametrize("kind", ["", "_async"])  # of the callback


@KINDS
@pytest.mark.site(worker={"workers": 4})
async def test_different_streams_run_in_parallel(
    world: World, site: Site, gate: Gate, kind: str
) -> None:
    send = getattr(site.conn.stream(serde="PICKLE", timeout=20), f"stream_waits_at{kind}")
    running = [world.begin(send, [(gate.key, i, i)]) for i in range(4)]
    await world.until(lambda: gate.inside == 4)
    gate.open()
    for one in running:
        await one.result()


@KINDS
async def test_each_item_is_acknowledged_before_the_next(
    world: World, site: Site, gate: Gate, kind: str
) -> None:
    taken: list[int] = []

    def items() -> Iterator[tuple[int, int, int]]:
        for value in range(5):
            taken.append(value)
            yield (gate.key, value, 1)

    send = getattr(site.conn.stream(serde="PICKLE"), f"stream_waits_at{kind}")
    running = world.begin(send, items())
    await world.until(lambda: gate.inside == 1)
    await world.sleep(0.2)
    assert gate.notes == [0]
    assert max(taken) <= 2  # the producer may be asked for one ahead, no further
    gate.open()
    await running.result()
    assert gate.notes == [0, 1, 2, 3, 4]


@KINDS
async def test_nowait_is_not_acknowledged(world: World, site: Site, gate: Gate, kind: str) -> None:
    send = getattr(site.conn.stream_nowait(serde="PICKLE"), f"stream_waits_at{kind}")
    await world.begin(send, [(gate.key, i, 0) for i in range(20)]).result(within=5)
    assert gate.notes == []
    gate.open()
    await world.until(lambda: gate.notes == list(range(20)))


async def test_timeout_is_for_each_chunk(world: World, site: Site, gate: Gate) -> None:
    def slow() -> Iterator[tuple[int, int]]:
        for value in range(4):
            time.sleep(0.2)
            yield (gate.key, value)

    await world.call(site.conn.stream(timeout=0.5, serde="PICKLE").stream_keep, slow())
    assert gate.notes == [0, 1, 2, 3]  # 0.8 s in all, and no chunk was late


async def test_a_chunk_that_takes_too_long_ends_it(world: World, site: Site, gate: Gate) -> None:
    closed = threading.Event()

    def items() -> Iterator[tuple[int, int, int]]:
        try:
            for value in itertools.count():
                yield (gate.key, value, 2)
        finally:
            closed.set()

    send = site.conn.stream(timeout=0.3, serde="PICKLE").stream_waits_at
    with pytest.raises(CallTimeout) as caught:
        await world.call(send, items())
    assert caught.value.call == "stream_waits_at"
    assert caught.value.timeout == pytest.approx(0.3)
    assert closed.is_set()  # the generator is closed, not left to the collector
    gate.open()
    await site.settled()
    assert gate.notes == [0, 1, 2]


@KINDS
async def test_a_callback_that_raises_ends_it(
    world: World, site: Site, gate: Gate, kind: str
) -> None:
    taken: list[int] = []

    def items() -> Iterator[tuple[int, int, int]]:
        for value in range(100):
            taken.append(value)
            yield (gate.key, value, 3)

    send = getattr(site.conn.stream(timeout=10, serde="PICKLE"), f"stream_raises_at{kind}")
    with pytest.raises(ValueError, match="not 3"):
        await world.call(send, items())
    assert gate.notes == [0, 1, 2] and len(taken) <= 5
    await site.settled()


async def test_a_generator_that_raises_ends_it(world: World, site: Site, gate: Gate) -> None:
    def items() -> Iterator[tuple[int, int]]:
        yield (gate.key, 0)
        raise OSError("no more")

    for style in (site.conn.stream, site.conn.stream_nowait):
        with pytest.raises(OSError, match="no more"):
            await world.call(style(serde="PICKLE").stream_keep, items())
    await world.until(lambda: gate.notes == [0, 0])
    await site.settled()


class Indexed:
    """Items that are found by their index, and in no other way."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __getitem__(self, index: int) -> Any:
        return self._items[index]


async def test_any_iterable(world: World, site: Site, gate: Gate) -> None:
    send = site.conn.stream(serde="PICKLE", timeout=10).stream_keep
    await world.call(send, [(gate.key, 0), (gate.key, 1)])
    await world.call(send, iter([(gate.key, 2)]))
    await world.call(send, ((gate.key, value) for value in (3, 4)))
    await world.call(send, {5: (gate.key, 5)}.values())
    await world.call(send, Indexed((gate.key, 6), (gate.key, 7)))
    await world.call(send, [])
    assert gate.notes == [0, 1, 2, 3, 4, 5, 6, 7]
    await site.settled()


async def test_nobody_takes_a_stream_without_items(world: World, site: Site) -> None:
    for style in (site.conn.stream(timeout=10), site.conn.stream()):
        with pytest.raises(TransmissionFailure, match="no_such_function"):
            await world.call(style.no_such_function, iter([]))
    with pytest.raises(TransmissionFailure, match="nobody"):
        await world.call(site.conn.stream(timeout=10, receiver="nobody").stream_keep, [])
    await site.settled()


@awaited_only
@pytest.mark.parametrize("style", ["stream", "stream_nowait"])
async def test_an_async_generator(world: World, site: Site, gate: Gate, style: str) -> None:
    """Its items are asked for as they are sent, and it is closed when the stream fails."""
    closed: list[int] = []

    async def items(many: int, stop: int) -> AsyncIterator[tuple[int, int, int]]:
        try:
            for value in range(many):
                await pause(0.001)
                if value == stop:
                    raise OSError("no more")
                yield (gate.key, value, 30)
        finally:
            closed.append(many)

    stream = getattr(site.conn, style)(serde="PICKLE", timeout=10)
    await world.call(stream.stream_raises_at_async, items(20, -1))
    await world.until(lambda: gate.notes == list(range(20)))
    with pytest.raises(OSError, match="no more"):
        await world.call(stream.stream_raises_at_async, items(21, 5))
    await world.until(lambda: gate.notes == [*range(20), *range(5)])
    assert closed == [20, 21]
    if style == "stream":
        with pytest.raises(ValueError, match="not 30"):
            await world.call(stream.stream_raises_at_async, items(1000, -1))
        assert closed == [20, 21, 1000]
    await site.settled()


@awaited_only
@over_tcp
async def test_a_generator_that_waits_holds_nobody_up(world: World, site: Site, gate: Gate) -> None:
    async def items() -> AsyncIterator[tuple[int, int]]:
        yield (gate.key, 0)
        await gate.wait_here()
        yield (gate.key, 1)

    running = world.begin(site.conn.stream(serde="PICKLE", timeout=0.3).stream_keep, items())
    await world.until(lambda: gate.notes == [0])
    for value in range(20):
        assert await world.call(site.conn.rpc(timeout=5).echo, value) == value
    await world.sleep(0.4)  # longer than a chunk may take: it is not the chunk that does
    gate.open()
    await running.result(within=5)
    assert gate.notes == [0, 1]


@over_tcp
async def test_text_mappings_and_buffers_are_one_chunk(world: World, site: Site) -> None:
    opaque = site.conn.stream(timeout=10).stream_opaque
    plain = site.conn.stream(timeout=10, serde="PICKLE").stream_opaque
    whole.clear()
    for chunk in (b"bytes", bytearray(b"array"), memoryview(b"view"), "text", b"", ""):
        await world.call(opaque, chunk)
    assert whole == [b"bytes", b"array", b"view", "text", b"", ""]
    assert [type(item) for item in whole] == [bytes, bytes, bytes, str, bytes, str]
    whole.clear()
    chunks = [{"a": 1}, "text", b"bytes", array.array("i", [1, 2]), 7, None]
    for one in chunks:
        await world.call(plain, one)
    assert whole == chunks


@over_tcp
@over_service
async def test_opaque_refuses_what_it_cannot_carry(world: World, site: Site) -> None:
    for style in (site.conn.stream, site.conn.stream_nowait):
        for chunk in ({"a": 1}, 7, [b"good", 7], [b"good", [b"nested"]]):
            whole.clear()
            with pytest.raises(TypeError):
                await world.call(style(timeout=10).stream_opaque, chunk)
    with pytest.raises(TypeError):
        await world.call(site.conn.stream(timeout=10).stream_opaque)
    with pytest.raises(TypeError):
        await world.call(site.conn.stream(timeout=10).stream_opaque, b"1", b"2")
    await site.settled()


@over_tcp
async def test_memory_stays_bounded_without_acknowledgements(
    world: World, site: Site, gate: Gate
) -> None:
    chunk = b"x" * 65_536
    made = 0

    def items() -> Iterator[tuple[int, int, int, bytes]]:
        nonlocal made
        for value in range(8_000):  # 500 MB in all
            made += 1
            yield (gate.key, value, 0, chunk)

    before = resident()
    running = world.begin(site.conn.stream_nowait(serde="PICKLE").stream_heavy, items())
    await world.until(lambda: gate.inside == 1)
    last = -1
    while last != made:  # the producer comes to rest
        last = made
        await world.sleep(0.3)
    assert not running.done() and made < 4_000
    assert resident() - before < 300_000_000
    gate.open()
    await running.result(within=30)
    await world.until(lambda: gate.left == 8_000, within=30)
    await site.settled()


@callback
def stream_heavy(item: tuple[int, int, int, bytes]) -> None:
    """Wait at the gate with the first item."""
    key, value, stop, _ = item
    gate = gate_of(key)
    gate.enter()
    if value == stop:
        gate.wait()
    gate.leave()

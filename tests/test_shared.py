"""What several threads, or a callback and its caller, hold at the same time."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gates import Gate, gate_of
from sites import Site
from worlds import World

from daffi import callback
from daffi.exceptions import (
    CallTimeout,
    DaffiError,
    Evicted,
    MessageTooLarge,
    Overloaded,
    TransmissionFailure,
)

SIZE = 3_000_000
reused = bytearray(SIZE)


WAYS = ("object", "part", "view", "base", "list", "weak", "read-only")
kept: list[Any] = []  # ways to the memory of a result


@callback
def shared_array(way: str) -> Any:
    """A large array of ones; `shared_scribble` has a way to it yet, or there is none."""
    memory = bytearray(b"\x01") * (8 * SIZE)
    array = np.frombuffer(memory, np.uint8)
    kept.clear()
    if way == "object":
        kept.append(array)
    elif way == "part":
        kept.append(array[SIZE:])
    elif way == "view":
        between: Any = array.base  # a memoryview
        kept.append(between[SIZE:])
    elif way == "base":
        kept.append(memory)
    elif way == "read-only":
        kept.append(array)
        array = array[:]
        array.flags.writeable = False
    elif way == "weak":
        kept.append(weakref.ref(array))
    elif way == "list":
        kept.append([array])
        return kept[0]
    return array


@callback
async def shared_array_async(way: str) -> Any:
    """The same from a coroutine."""
    return shared_array(way)


@callback
def shared_memory(way: str) -> Any:
    """The same as a memoryview, which OPAQUE takes."""
    view = memoryview(bytearray(b"\x01") * (8 * SIZE))
    ways = {"object": view, "part": view[SIZE:], "base": view.obj, "read-only": view}
    kept[:] = [ways.get(way)]
    del ways
    return view.toreadonly() if way == "read-only" else view


@callback
def shared_scribble() -> None:
    """Write to what was kept of the last result, all over it."""
    for way in kept:
        for target in way if isinstance(way, list) else [way]:
            found = target() if isinstance(target, weakref.ref) else target
            if found is not None:
                memoryview(found).cast("B")[:] = bytes(memoryview(found).nbytes)
    kept.clear()


@callback
def shared_keep(item: dict[str, int]) -> None:
    """Keep an item of a stream."""
    gate_of(item["key"]).notes.append(item["value"])


@callback
def shared_wait(item: dict[str, int]) -> None:
    """Wait at the gate with an item of a stream."""
    gate = gate_of(item["key"])
    gate.enter()
    gate.wait()
    gate.leave()


@callback
def shared_buffer(value: int) -> bytearray:
    """The same buffer each time, filled anew."""
    reused[:] = bytes([value]) * SIZE
    return reused


async def fifty(world: World, send: Callable[[Any], Any], key: int, first: int) -> None:
    """Send fifty items, one after another."""
    for value in range(first, first + 50):
        await world.call(send, {"key": key, "value": value})


async def test_a_kept_stream_serves_many_threads(world: World, site: Site, gate: Gate) -> None:
    async def share() -> None:
        send = site.conn.stream(timeout=30, serde="PICKLE").shared_keep
        await world.side_by_side(
            fifty(world, send, gate.key, first) for first in (0, 100, 200, 300)
        )

    await share()
    assert sorted(gate.notes) == [h + v for h in (0, 100, 200, 300) for v in range(50)]
    for first in (0, 100, 200, 300):
        mine = [value for value in gate.notes if first <= value < first + 50]
        assert mine == sorted(mine)
    await site.settled()


async def test_who_shares_a_stream_hears_that_it_was_given_up(
    world: World, site: Site, gate: Gate
) -> None:
    stream = site.conn.stream(timeout=0.5, serde="PICKLE")
    item = {"key": gate.key, "value": 1}
    first = world.begin(stream.shared_wait, item)
    await world.until(lambda: gate.inside == 1)
    second = world.begin(stream.shared_wait, item)
    failed = []
    for sent in (first, second):
        with pytest.raises(DaffiError) as caught:
            await sent.result()
        failed.append(caught.type)
    # On a busy machine the second may be the first to find that its time is over: its item had no
    # credit yet.
    assert {CallTimeout, Overloaded} & set(failed)
    # The worker hears it too, and drops what waits.
    await world.until(lambda: not site.worker.stats()["streams"])
    gate.open()
    await site.settled()
    assert gate.entered == 1


@pytest.mark.parametrize("serde", ["PICKLE", "OPAQUE"])
async def test_a_result_is_as_it_was_when_it_was_returned(
    world: World, site: Site, serde: str
) -> None:
    def ask(value: int) -> Callable[[], Any]:
        # OPAQUE takes bytes: their length is the value.
        argument = b"x" * value if serde == "OPAQUE" else value
        name = "shared_buffer_opaque" if serde == "OPAQUE" else "shared_buffer"
        return lambda: getattr(site.conn.rpc(timeout=30, serde=serde), name)(argument)

    for answer in await world.together(ask(value) for value in range(8)):
        assert len(answer) == SIZE and len(set(answer)) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["shared_array", "shared_array_async"])
async def test_a_result_that_somebody_can_write_to_is_copied(
    world: World, site: Site, name: str, way: str
) -> None:
    rpc = site.conn.rpc(timeout=30)
    back, _ = await world.together([lambda: getattr(rpc, name)(way), rpc.shared_scribble])
    assert (np.asarray(back[0] if way == "list" else back) == 1).all()


@pytest.mark.parametrize("way", ["object", "part", "base", "read-only"])
async def test_so_it_is_for_opaque(world: World, site: Site, way: str) -> None:
    ask = site.conn.rpc(timeout=30, serde="OPAQUE")
    rpc = site.conn.rpc(timeout=30)
    back, _ = await world.together([lambda: ask.shared_memory(way), rpc.shared_scribble])
    assert back == b"\x01" * (8 * SIZE)


@callback
def shared_buffer_opaque(value: bytes) -> bytearray:
    """The same for OPAQUE."""
    return shared_buffer(len(value))


async def test_a_long_list_of_members(world: World, site: Site) -> None:
    long = [(f"function_{i:04}" * 8, "(" + "x" * 300 + ")", "y" * 200) for i in range(2000)]
    site.nodes["server" if site.topology == "service" else "worker"]._engine.announce(long)
    await world.call(site.conn.wait_for_function, long[-1][0], timeout=10)
    for _ in range(2):
        members = {one.name: one for one in await world.call(site.conn.members)}
        assert len(members[site.worker_name].functions) == len(long)
        assert set(members) >= {site.worker_name, "caller"}
    assert site.caller.stats()["connections"] == 1


async def test_a_name_that_is_too_long_harms_nobody(world: World, site: Site, gate: Gate) -> None:
    running = world.begin(site.conn.rpc(timeout=30).hold, gate.key, "fine")
    await world.until(lambda: gate.inside == 1)
    with pytest.raises(TransmissionFailure, match="255 bytes"):
        await world.call(getattr(site.conn.rpc(timeout=5), "x" * 300), 1)
    with pytest.raises(TransmissionFailure, match="255 bytes"):
        await world.call(site.conn.rpc(timeout=5, receiver="x" * 300).add, 1, 2)
    gate.open()
    assert await running.result() == "fine"


async def test_an_item_that_is_too_large(world: World, site: Site) -> None:
    small = await site.join("small", max_message=70_000)
    with pytest.raises(MessageTooLarge):
        await world.call(small.stream(timeout=5).stream_any, b"x" * 300_000)
    assert await world.call(small.rpc(timeout=5).add, 1, 2) == 3


async def test_connect_after_the_end_says_what_ended_it(world: World, site: Site) -> None:
    await site.join("twice")
    old = site.nodes["twice"]
    await site.join("twice")
    with pytest.raises(Evicted):
        await world.call(old.join)
    with pytest.raises(Evicted):
        await world.call(old.connect)

"""Many at once on one connection, from threads and streams: all answered, each its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from gates import Gate, gate_of
from sites import Site, over_tcp
from worlds import World

from daffi import callback
from daffi.exceptions import CallTimeout

pytestmark = over_tcp

CALLS, STREAMS = 4_900, 100


@pytest.fixture(autouse=True)
def small_stacks() -> Iterator[None]:
    """Thousands of threads, each of which does little."""
    before = threading.stack_size(256 * 1024)
    yield
    threading.stack_size(before)


@callback
def many_keep(item: dict[str, int]) -> None:
    """Keep an item of a stream."""
    gate = gate_of(item["key"])
    gate.wait()
    gate.notes.append(item["value"])


@pytest.mark.site(worker={"workers": 8})
async def test_five_thousand_in_flight(world: World, site: Site, gate: Gate) -> None:
    rpc = site.conn.rpc(timeout=100).hold_async
    calls = [world.begin(rpc, gate.key, i) for i in range(CALLS)]
    streams = [
        world.begin(site.conn.stream(timeout=100, serde="PICKLE").many_keep,
                    [{"key": gate.key, "value": i}])
        for i in range(STREAMS)
    ]  # fmt: skip
    await world.until(
        lambda: (
            site.caller.stats()["calls_in_flight"] + site.caller.stats()["streams"]
            >= CALLS + STREAMS
        ),
        within=60,
    )
    gate.open()
    assert [await one.result(within=60) for one in calls] == list(range(CALLS))
    for one in streams:
        await one.result(within=60)
    assert sorted(gate.notes) == list(range(STREAMS))
    await site.settled()


@pytest.mark.site(worker={"workers": 4})
async def test_a_mixture_gives_each_its_own(world: World, site: Site, gate: Gate) -> None:
    """Results, failures, timeouts and large ones side by side, from sixteen callers."""

    async def mix(who: int) -> None:
        conn: Any = site.conn
        for turn in range(60):
            mark = who * 1000 + turn
            kind = turn % 6
            if kind == 0:
                with pytest.raises(TypeError):
                    await world.call(conn.rpc(timeout=30).add, mark, "text")
            elif kind == 1:
                with pytest.raises(CallTimeout):
                    await world.call(conn.rpc(timeout=0.01).hold_async, gate.key)
            elif kind == 2:
                size = 70_000 + mark
                assert len(await world.call(conn.rpc(timeout=30).echo, b"x" * size)) == size
            elif kind == 3:
                answers = await world.call(conn.cast(timeout=30).echo, mark)
                assert set(answers.values()) == {mark}
            elif kind == 4:
                assert await world.call(conn.rpc(timeout=30, serde="JSON").echo, [mark]) == [mark]
            else:
                assert await world.call(conn.rpc(timeout=30).add_async, mark, 1) == mark + 1

    await world.side_by_side(mix(who) for who in range(16))
    await site.settled()

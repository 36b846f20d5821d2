"""Giving up a call that is awaited: the worker hears of it, and nothing is left on any side."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from gates import Gate, gate_of, new_gate
from loops import cancelled, pause, shielded
from sites import Site, awaited_only, over_router, over_tcp
from worlds import Running, World

from daffi import callback

pytestmark = awaited_only

reached: dict[str, Any] = {}  # name of a node -> its connection


@callback
async def up_stubborn(key: int) -> None:
    """Take a while to clean up after being cancelled."""
    gate = gate_of(key)
    gate.enter()
    try:
        await pause(30)
    except cancelled():
        with shielded():
            await pause(0.2)
        gate.notes.append("cleaned")
        raise


@callback
async def up_nested(style: str, to: str, key: int) -> None:
    """Wait inside for a call that waits."""
    gate = gate_of(key)
    proxy = getattr(reached["worker"], style)(receiver=to, serde="PICKLE")
    try:
        await proxy.hold_async([key] if style == "stream" else key)
    except cancelled():
        gate.notes.append("outer")
        raise


async def is_given_up(running: Running) -> None:
    """Give it up; assert that this is what its waiter hears."""
    running.cancel()
    with pytest.raises(cancelled()):
        await running.result(within=5)


def begin(world: World, conn: Any, style: str, name: str, key: int) -> Running:
    """A call that waits at the gate, in that style."""
    function = getattr(getattr(conn, style)(serde="PICKLE"), name)
    return world.begin(function, [key] if style == "stream" else key)


STYLES = pytest.mark.parametrize("style", ["rpc", "cast", "stream"])


@STYLES
async def test_a_coroutine_is_cancelled(world: World, site: Site, gate: Gate, style: str) -> None:
    running = begin(world, site.conn, style, "hold_async", gate.key)
    await world.until(lambda: gate.inside == 1)
    await is_given_up(running)
    await world.until(lambda: gate.cancelled == 1)
    await site.settled()
    assert await world.call(site.conn.rpc(timeout=10).add_async, 1, 2) == 3


@STYLES
async def test_a_thread_is_left_to_finish(world: World, site: Site, gate: Gate, style: str) -> None:
    running = begin(world, site.conn, style, "hold", gate.key)
    await world.until(lambda: gate.inside == 1)
    await is_given_up(running)
    await world.until(lambda: site.caller.stats()["calls_in_flight"] == 0)
    assert gate.inside == 1
    gate.open()
    await site.settled()
    assert await world.call(site.conn.rpc(timeout=10).add, 1, 2) == 3


@STYLES
@pytest.mark.parametrize("name", ["hold", "hold_async"])
async def test_what_is_queued_never_starts(
    world: World, site: Site, gate: Gate, style: str, name: str
) -> None:
    busy = world.begin(site.conn.rpc(timeout=30).hold, gate.key, "first")
    await world.until(lambda: gate.inside == 1)
    never = new_gate()
    running = [begin(world, site.conn, style, name, never.key) for _ in range(20)]
    await world.until(lambda: site.worker.stats()["queued"] == 20)
    for one in running:
        await is_given_up(one)
    await world.until(lambda: site.worker.stats()["queued"] == 0)
    gate.open()
    assert await busy.result() == "first"
    await site.settled()
    assert never.entered == 0


@over_tcp
async def test_before_it_has_begun(world: World, site: Site, gate: Gate) -> None:
    """A call is sent when it is made; given up in the same breath, it is not left running."""
    running = [world.begin(site.conn.rpc().hold_async, gate.key) for _ in range(10)]
    for one in running:
        await is_given_up(one)
    await site.settled()
    assert gate.inside == 0


async def test_it_may_clean_up(world: World, site: Site, gate: Gate) -> None:
    running = world.begin(site.conn.rpc().up_stubborn, gate.key)
    await world.until(lambda: gate.entered == 1)
    await is_given_up(running)
    await world.until(lambda: gate.notes == ["cleaned"])
    await site.settled()


@over_router
async def test_every_leg_of_a_cast(world: World, site: Site, gate: Gate) -> None:
    for name in ("second", "third"):
        await site.join(name, expose=None)
    running = world.begin(site.conn.cast().hold_async, gate.key)
    await world.until(lambda: gate.inside == 3)
    await is_given_up(running)
    await world.until(lambda: gate.cancelled == 3)
    await site.settled()


@over_router
@STYLES
async def test_all_of_a_chain(world: World, site: Site, gate: Gate, style: str) -> None:
    await site.join("second", expose=None)
    reached["worker"] = site.conns["worker"]
    call = site.conn.rpc(timeout=30, receiver="worker").up_nested
    running = world.begin(call, style, "second", gate.key)
    await world.until(lambda: gate.inside == 1)
    await is_given_up(running)
    await world.until(lambda: gate.cancelled == 1)
    await world.until(lambda: gate.notes == ["outer"])
    await site.settled()


async def test_a_stream_closes_its_generator(world: World, site: Site, gate: Gate) -> None:
    closed: list[str] = []

    def plain() -> Any:
        try:
            for _ in itertools.count():
                yield gate.key
        finally:
            closed.append("plain")

    async def awaited() -> Any:
        try:
            for _ in itertools.count():
                yield gate.key
        finally:
            closed.append("awaited")

    for items in (plain(), awaited()):
        running = world.begin(site.conn.stream(serde="PICKLE").hold_async, items)
        await world.until(lambda: gate.inside == 1)
        await is_given_up(running)
        await world.until(lambda: gate.inside == 0)
    await site.settled()
    assert closed == ["plain", "awaited"]


@over_tcp
async def test_other_waits(world: World, site: Site) -> None:
    for wait in (
        lambda: site.conn.wait_for_members("nobody"),
        lambda: site.conn.wait_for_function("nothing_like_it"),
    ):
        running = world.begin(wait)
        await world.sleep(0.05)
        assert not running.done()
        await is_given_up(running)
    early = world.Client("early", unix_sock_path=site.directory / "nobody", expose=())
    connecting = world.begin(early.connect, wait=60)
    await world.sleep(0.05)
    assert not connecting.done()
    await is_given_up(connecting)
    await world.call(early.stop)
    assert await world.call(site.conn.rpc(timeout=10).add, 1, 2) == 3


@over_tcp
@pytest.mark.site(worker={"workers": 20})
async def test_thousands_at_random_leave_nothing(world: World, site: Site, gate: Gate) -> None:
    chance = random.Random(4)
    gate.open()

    async def one() -> None:
        kind = chance.randrange(4)
        if kind == 0:
            running = world.begin(site.conn.rpc(timeout=30).hold_async, gate.key)
        elif kind == 1:
            running = world.begin(site.conn.cast(timeout=30).add, 1, 2)
        elif kind == 2:
            send = site.conn.stream(timeout=30, serde="PICKLE").nothing
            running = world.begin(send, iter(range(3)))
        else:
            running = world.begin(site.conn.rpc(timeout=30).add_async, 1, 2)
        await world.sleep(chance.random() * 0.02)
        running.cancel()
        try:
            await running.result()
        except cancelled():
            given_up.append(kind)

    given_up: list[int] = []
    for _ in range(20):
        await world.side_by_side(one() for _ in range(150))
    assert len(given_up) > 0
    await site.settled()
    assert gate.inside == 0
    assert await world.call(site.conn.rpc(timeout=10).add, 1, 2) == 3

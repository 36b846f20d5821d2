"""Who gets the call: turns, the least busy, names; and that the caller never picks itself."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from gates import Gate, new_gate
from sites import Site, over_router
from worlds import World

from daffi.exceptions import TransmissionFailure

pytestmark = over_router

THREE = {"worker", "second", "third"}


async def three_workers(site: Site) -> dict[int, str]:
    """Two more workers; which thread belongs to whom."""
    for name in ("second", "third"):
        await site.join(name, expose=None)
    await site.world.call(site.conn.wait_for_members, *THREE, timeout=5)
    threads = await site.world.call(site.conn.cast(timeout=10).thread_id)
    assert set(threads) == THREE
    return {ident: name for name, ident in threads.items()}


async def test_turns_from_one_caller(world: World, site: Site) -> None:
    names = await three_workers(site)
    call = site.conn.rpc(timeout=10).thread_id
    ran = Counter([names[await world.call(call)] for _ in range(30)])
    assert ran == dict.fromkeys(THREE, 10)


async def test_turns_from_thirty_callers(world: World, site: Site) -> None:
    names = await three_workers(site)
    conns = [await site.join(f"caller-{i}") for i in range(30)]
    idents = await world.together([conn.rpc(timeout=10).thread_id for conn in conns])
    assert Counter(names[ident] for ident in idents) == dict.fromkeys(THREE, 10)


async def test_turns_are_taken_by_calls_that_nobody_waits_for(
    world: World, site: Site, gate: Gate
) -> None:
    await three_workers(site)
    for _ in range(30):
        await world.call(site.conn.rpc_nowait().hold, gate.key)
    gate.open()
    await world.until(lambda: gate.left == 30)
    ran = [site.nodes[name].stats()["functions"]["hold"]["calls"] for name in THREE]
    assert ran == [10, 10, 10]


async def test_a_worker_that_leaves_takes_no_turn(world: World, site: Site) -> None:
    names = await three_workers(site)
    await world.call(site.nodes["third"].stop)
    call = site.conn.rpc(timeout=10).thread_id
    ran = Counter([names[await world.call(call)] for _ in range(20)])
    assert ran == {"worker": 10, "second": 10}


async def test_a_name_pins(world: World, site: Site) -> None:
    names = await three_workers(site)
    for name in THREE:
        call = site.conn.rpc(timeout=10, receiver=name).thread_id
        assert {names[await world.call(call)] for _ in range(5)} == {name}


@pytest.mark.site(server={"balance": "least_pending"})
async def test_least_pending(world: World, site: Site, gate: Gate) -> None:
    names = await three_workers(site)
    running = [
        world.begin(site.conn.rpc(timeout=20, receiver=name).hold, gate.key)
        for name in ("worker", "second")
    ]
    await world.until(lambda: gate.inside == 2)
    call = site.conn.rpc(timeout=10).thread_id
    assert {names[await world.call(call)] for _ in range(12)} == {"third"}
    gate.open()
    for one in running:
        await one.result()


@pytest.mark.site(server={"balance": "least_pending"})
async def test_least_pending_shares_what_is_long(world: World, site: Site, gate: Gate) -> None:
    await three_workers(site)
    running = [world.begin(site.conn.rpc(timeout=20).hold, gate.key) for _ in range(12)]
    await world.until(lambda: site.server.stats()["calls_in_flight"] == 12)
    await world.until(lambda: gate.inside == 3)
    gate.open()
    for one in running:
        await one.result()
    ran = [site.nodes[name].stats()["functions"]["hold"]["calls"] for name in THREE]
    assert ran == [4, 4, 4]


async def test_the_caller_is_not_picked(world: World, site: Site) -> None:
    names = await three_workers(site)
    conn = site.conns["third"]
    ran = Counter([names[await world.call(conn.rpc(timeout=10).thread_id)] for _ in range(10)])
    assert ran == {"worker": 5, "second": 5}
    assert set(await world.call(conn.cast(timeout=10).thread_id)) == {"worker", "second"}


async def test_the_caller_is_not_picked_though_it_is_the_only_one(world: World, site: Site) -> None:
    conn = site.conns["worker"]
    with pytest.raises(TransmissionFailure):
        await world.call(conn.rpc(timeout=10).add, 1, 2)
    with pytest.raises(TransmissionFailure):
        await world.call(conn.cast(timeout=10).add, 1, 2)


async def test_the_caller_may_name_itself(world: World, site: Site) -> None:
    names = await three_workers(site)
    conn = site.conns["third"]
    ran = await world.call(conn.rpc(timeout=10, receiver="third").thread_id)
    assert names[ran] == "third"
    both = conn.cast(timeout=10, receiver=["third", "second"])
    assert set(await world.call(both.thread_id)) == {"third", "second"}


async def test_turns_hold_under_threads(world: World, site: Site) -> None:
    names = await three_workers(site)
    call = site.conn.rpc(timeout=20).thread_id
    idents = await world.together([partial(call) for _ in range(90)])
    assert Counter(names[ident] for ident in idents) == dict.fromkeys(THREE, 30)


async def test_each_function_has_turns_of_those_who_offer_it(world: World, site: Site) -> None:
    other = new_gate()
    await site.join("narrow", expose=["note"])
    for value in range(10):
        await world.call(site.conn.rpc(timeout=10).note, other.key, value)
    await world.call(site.conn.rpc(timeout=10).add, 1, 2)
    assert len(other.notes) == 10
    ran = [site.nodes[name].stats()["functions"]["note"]["calls"] for name in ("worker", "narrow")]
    assert ran == [5, 5]
    assert "add" not in site.nodes["narrow"].stats()["functions"]

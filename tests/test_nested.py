"""Calls made from inside callbacks: in circles, back to the caller, with `workers=1` each."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

import pytest
from gates import Gate, gate_of
from mixing import reach
from sites import Site, over_router
from worlds import World

from daffi import callback, current_call
from daffi.exceptions import CallTimeout, RemoteCallError

reached: dict[str, Any] = {}  # name of a node -> its connection, for the callbacks below

# A plain function has no loop to await on: it calls on by a blocking connection, a coroutine by
# any.
by_both = pytest.mark.parametrize(
    ("world", "kind"),
    [("blocking", ""), ("blocking", "_async"), ("asyncio", "_async"), ("trio", "_async")],
    indirect=["world"],
)


@callback
def nested_hops(hops: list[tuple[str, str]]) -> list[int]:
    """For each hop (by whose connection, to whom) one call inside the other; their threads."""
    here = [threading.get_ident()]
    if not hops:
        return here
    (via, to), *rest = hops
    return here + list(reached[via].rpc(timeout=20, receiver=to).nested_hops(rest))


@callback
async def nested_hops_async(hops: list[tuple[str, str]]) -> list[int]:
    """The same in a coroutine."""
    here = [threading.get_ident()]
    if not hops:
        return here
    (via, to), *rest = hops
    rpc = reached[via].rpc(timeout=20, receiver=to)
    return here + list(await reach(reached[via], rpc.nested_hops_async, rest))


@callback
def nested_deadline(via: str, to: str, timeout: float | None) -> tuple[float, float | None]:
    """The deadline of this call, and that of a call made inside it."""
    mine = current_call().deadline
    inner = reached[via].rpc(timeout=timeout, receiver=to).about_call()
    assert mine is not None
    return mine, inner["deadline"]


@callback
async def nested_deadline_async(
    via: str, to: str, timeout: float | None
) -> tuple[float, float | None]:
    """The same in a coroutine."""
    mine = current_call().deadline
    inner = await reach(reached[via], reached[via].rpc(timeout=timeout, receiver=to).about_call)
    assert mine is not None
    return mine, inner["deadline"]


@callback
def nested_late(via: str, to: str, key: int) -> None:
    """Wait inside for something that does not come."""
    gate = gate_of(key)
    try:
        reached[via].rpc(receiver=to).hold_async(key)
    except BaseException as error:
        gate.notes.append(type(error).__name__)
        raise


@callback
async def nested_late_async(via: str, to: str, key: int) -> None:
    """The same in a coroutine."""
    gate = gate_of(key)
    try:
        await reach(reached[via], reached[via].rpc(receiver=to).hold_async, key)
    except BaseException as error:
        gate.notes.append(type(error).__name__)
        raise


@callback
def nested_cast(via: str, hops: list[tuple[str, str]]) -> dict[str, Any]:
    """A cast from inside a callback."""
    return dict(reached[via].cast(timeout=20).nested_hops(hops))


@callback
async def nested_cast_async(via: str, hops: list[tuple[str, str]]) -> dict[str, Any]:
    """The same in a coroutine."""
    return dict(await reach(reached[via], reached[via].cast(timeout=20).nested_hops_async, hops))


@callback
def nested_stream(via: str, to: str, key: int) -> None:
    """A stream from inside a callback."""
    stream = reached[via].stream(timeout=20, receiver=to, serde="PICKLE")
    stream.nested_keep({"key": key, "value": value} for value in range(10))


@callback
async def nested_stream_async(via: str, to: str, key: int) -> None:
    """The same in a coroutine."""
    stream = reached[via].stream(timeout=20, receiver=to, serde="PICKLE")
    items = ({"key": key, "value": value} for value in range(10))
    await reach(reached[via], stream.nested_keep_async, items)


@callback
def nested_keep(item: dict[str, int]) -> None:
    """Keep an item of that stream."""
    gate_of(item["key"]).notes.append(item["value"])


@callback
async def nested_keep_async(item: dict[str, int]) -> None:
    """The same in a coroutine."""
    nested_keep(item)


async def ring(site: Site) -> None:
    """Nodes a, b and c, each with callbacks and one worker, and all connections known."""
    reached.clear()
    for name in ("a", "b", "c"):
        reached[name] = await site.join(name, expose=None)
    await site.world.call(site.conn.wait_for_members, "a", "b", "c", timeout=5)


@by_both
@over_router
async def test_there_and_back_to_the_caller(world: World, site: Site, kind: str) -> None:
    """me -> worker -> me -> worker, each with one thread for callbacks."""
    reached.clear()
    reached["me"] = await site.join("me", expose=None)
    reached["worker"] = site.conns["worker"]
    hops = [("worker", "me"), ("me", "worker"), ("worker", "me")]
    call = getattr(reached["me"].rpc(timeout=20, receiver="worker"), f"nested_hops{kind}")
    threads = await world.call(call, hops)
    assert len(threads) == 4
    # The one thread of `worker` ran both of its calls; coroutines share the thread of the loop.
    assert threads[0] == threads[2]
    await site.settled()


@by_both
async def test_through_a_service(world: World, site: Site, kind: str) -> None:
    """A callback of the server calls the server, by a client in the server's process."""
    reached.clear()
    reached["inner"] = await site.join("inner")
    hops = [("inner", site.worker_name)] * 3
    threads = await world.call(getattr(site.conn.rpc(timeout=20), f"nested_hops{kind}"), hops)
    assert len(threads) == 4 and len(set(threads)) == 1
    await site.settled()


@by_both
@over_router
async def test_two_that_call_each_other(world: World, site: Site, kind: str) -> None:
    await ring(site)
    hops = [("a", "b"), ("b", "a"), ("a", "b"), ("b", "a")]
    threads = await world.call(
        getattr(site.conn.rpc(timeout=20, receiver="a"), f"nested_hops{kind}"), hops
    )
    assert threads[0] == threads[2] == threads[4] and threads[1] == threads[3]
    assert kind or threads[0] != threads[1]
    await site.settled()


@by_both
@over_router
async def test_three_in_a_ring(world: World, site: Site, kind: str) -> None:
    await ring(site)
    hops = [("a", "b"), ("b", "c"), ("c", "a")] * 3
    threads = await world.call(
        getattr(site.conn.rpc(timeout=20, receiver="a"), f"nested_hops{kind}"), hops
    )
    assert len(threads) == 10 and (kind or len(set(threads)) == 3)
    await site.settled()


@by_both
@over_router
async def test_rings_in_both_directions_at_once(world: World, site: Site, kind: str) -> None:
    await ring(site)
    there = [("a", "b"), ("b", "c"), ("c", "a")] * 2
    back = [("a", "c"), ("c", "b"), ("b", "a")] * 2
    start = getattr(site.conn.rpc(timeout=30, receiver="a"), f"nested_hops{kind}")
    calls = [partial(start, hops) for hops in (there, back)] * 6
    for threads in await world.together(calls):
        assert len(threads) == 7
    await site.settled()


@by_both
@over_router
async def test_a_node_that_calls_itself(world: World, site: Site, kind: str) -> None:
    await ring(site)
    hops = [("a", "a"), ("a", "a")]
    threads = await world.call(
        getattr(site.conn.rpc(timeout=20, receiver="a"), f"nested_hops{kind}"), hops
    )
    assert len(set(threads)) == 1


@by_both
@over_router
async def test_a_cast_inside_a_callback(world: World, site: Site, kind: str) -> None:
    await ring(site)
    call = getattr(site.conn.rpc(timeout=20, receiver="a"), f"nested_cast{kind}")
    answers = await world.call(call, "a", [])
    assert set(answers) == {"worker", "b", "c"}
    await site.settled()


@by_both
@over_router
async def test_a_stream_inside_a_callback(world: World, site: Site, kind: str, gate: Gate) -> None:
    await ring(site)
    call = getattr(site.conn.rpc(timeout=20, receiver="a"), f"nested_stream{kind}")
    await world.call(call, "a", "b", gate.key)
    assert gate.notes == list(range(10))
    gate.notes.clear()
    await world.call(call, "a", "a", gate.key)  # to the thread that makes it
    assert gate.notes == list(range(10))
    await site.settled()


@by_both
@over_router
async def test_a_nested_call_inherits_the_deadline(world: World, site: Site, kind: str) -> None:
    await ring(site)
    call = getattr(site.conn.rpc(timeout=5, receiver="a"), f"nested_deadline{kind}")
    for own in (None, 60):
        mine, inner = await world.call(call, "a", "b", own)
        assert inner is not None and abs(inner - mine) < 0.5
    mine, inner = await world.call(call, "a", "b", 1)
    assert inner is not None and 3 < mine - inner < 5  # a shorter one of its own holds


@by_both
@over_router
async def test_cancelling_reaches_all_of_the_chain(
    world: World, site: Site, kind: str, gate: Gate
) -> None:
    await ring(site)
    before = time.monotonic()
    # Both have the same deadline: either may hear of it first.
    with pytest.raises((CallTimeout, RemoteCallError), match="within"):
        call = getattr(site.conn.rpc(timeout=0.4, receiver="a"), f"nested_late{kind}")
        await world.call(call, "a", "b", gate.key)
    await world.until(lambda: gate.cancelled == 1)
    await world.until(lambda: len(gate.notes) == 1)
    assert time.monotonic() - before < 3
    await site.settled()


@by_both
@over_router
async def test_other_chains_wait_for_their_turn(
    world: World, site: Site, kind: str, gate: Gate
) -> None:
    """A thread that waits inside a callback takes only calls of its own chain."""
    await ring(site)
    call = getattr(site.conn.rpc(timeout=20, receiver="a"), f"nested_late{kind}")
    outer = world.begin(call, "a", "b", gate.key)
    await world.until(lambda: gate.inside == 1)
    stranger = world.begin(site.conn.rpc(timeout=20, receiver="a").thread_id)
    await world.sleep(0.2)
    assert not stranger.done()
    gate.open()
    await outer.result()
    await stranger.result()
    await site.settled()

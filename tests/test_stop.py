"""`stop()`: finishes what runs, sends what was given to it, refuses what is new, comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from gates import Gate, gate_of
from sites import Site, awaited_only, engine_alone, over_service, over_tcp
from worlds import World

from daffi import callback
from daffi.exceptions import DaffiError


@callback
def stop_me(key: int) -> str:
    """Stop a node of this process from inside a callback; noted is how long that took."""
    gate = gate_of(key)
    before = time.monotonic()
    stopped[0].stop()
    gate.notes.append(time.monotonic() - before)
    return "stopped"


@callback
async def stop_me_async(key: int) -> str:
    """The same for a node whose methods are awaited."""
    gate = gate_of(key)
    before = time.monotonic()
    await stopped[0].stop()
    gate.notes.append(time.monotonic() - before)
    return "stopped"


@callback
def stop_take(item: dict[str, int]) -> None:
    """Note an item of a stream."""
    gate_of(item["key"]).notes.append(item["value"])


stopped: list[Any] = []


async def test_what_was_sent_is_not_lost(world: World, site: Site, gate: Gate) -> None:
    conn = await site.join("quick")

    def send_and_stop() -> Any:
        for value in range(1000):
            conn.rpc_nowait().note(gate.key, value)
        return site.nodes["quick"].stop()

    await world.call(send_and_stop)
    await world.until(lambda: len(gate.notes) == 1000)
    assert gate.notes == list(range(1000))
    await site.settled()


@awaited_only
async def test_a_stream_in_the_background_is_not_lost(world: World, site: Site, gate: Gate) -> None:
    conn = await site.join("quick")
    taken = conn.stream_nowait(serde="json").stop_take

    def item(value: int) -> dict[str, int]:
        return {"key": gate.key, "value": value}

    def stream_and_stop() -> Any:
        conn.stream(serde="json").stop_take(item(1) for _ in range(50))
        conn.stream_nowait(serde="json").stop_take(item(2) for _ in range(50))
        taken(item(3))
        return site.nodes["quick"].stop()

    await world.call(stream_and_stop)
    await world.until(lambda: len(gate.notes) == 101)
    assert sorted(gate.notes) == [1] * 50 + [2] * 50 + [3]
    await site.settled()


async def test_what_was_sent_and_is_large_is_not_lost(world: World, site: Site, gate: Gate) -> None:
    for name, style in (("s", "stream_nowait"), ("r", "rpc_nowait"), ("c", "cast_nowait")):
        conn = await site.join(name)

        proxy = getattr(conn, style)(serde="PICKLE")
        item = {"key": gate.key, "data": b"x" * 500_000}
        gate.notes.clear()
        if style == "stream_nowait":
            await world.call(proxy.stop_keep, (item for _ in range(20)))
        else:
            for _ in range(20):
                proxy.stop_keep(item)
        await world.call(site.nodes[name].stop)
        await world.until(lambda: len(gate.notes) == 20)
        assert gate.notes == [500_000] * 20
    await site.settled()


@callback
def stop_keep(item: dict[str, Any]) -> None:
    """Keep how large it was."""
    gate_of(item["key"]).notes.append(len(item["data"]))


@pytest.mark.site(worker={"workers": 200})
@pytest.mark.parametrize("who", ["worker", "server", "caller"])
async def test_two_hundred_calls_finish(world: World, site: Site, gate: Gate, who: str) -> None:
    calls = [world.begin(site.conn.rpc(timeout=30).hold, gate.key, i) for i in range(100)]
    calls += [world.begin(site.conn.rpc(timeout=30).hold_async, gate.key, i) for i in range(100)]
    await world.until(lambda: gate.inside == 200)
    stopping = world.begin(getattr(site, who).stop)
    await world.sleep(0.3)
    assert not stopping.done()
    gate.open()
    assert [await one.result() for one in calls] == [*range(100)] * 2
    await stopping.result(within=5)
    assert gate.left == 200


@pytest.mark.parametrize("who", ["worker", "server"])
async def test_what_is_new_is_refused(world: World, site: Site, gate: Gate, who: str) -> None:
    other = await site.join("other", reconnect=False)
    running = world.begin(site.conn.rpc(timeout=30).hold, gate.key, "done")
    await world.until(lambda: gate.inside == 1)
    stopping = world.begin(getattr(site, who).stop)
    await world.sleep(0.2)
    before = time.monotonic()
    with pytest.raises(DaffiError):
        await world.call(other.rpc(timeout=1).note, gate.key, "ran")
    assert time.monotonic() - before < 3
    gate.open()
    assert await running.result() == "done"
    await stopping.result(within=5)
    assert gate.notes == []


async def test_queued_calls_finish_too(world: World, site: Site, gate: Gate) -> None:
    calls = [world.begin(site.conn.rpc(timeout=30).hold, gate.key, i) for i in range(20)]
    await world.until(lambda: site.worker.stats()["queued"] == 19)
    stopping = world.begin(site.worker.stop)
    await world.sleep(0.1)
    gate.open()
    assert [await one.result() for one in calls] == list(range(20))
    await stopping.result(within=5)


@over_tcp
async def test_again_and_from_anywhere(world: World, site: Site) -> None:
    for node in reversed(list(site.nodes.values())):
        await world.together([partial(node.stop) for _ in range(5)])
        await world.call(node.stop)
        assert await world.call(node.join) is None  # at once, as it has stopped


async def test_stop_of_one_that_never_started(world: World) -> None:
    for node in (world.Service("s"), world.Router("r"), world.Client("c", "127.0.0.1", 1)):
        await world.call(node.stop)


async def test_from_a_callback(world: World, site: Site, gate: Gate) -> None:
    """It does not wait for the callback that it is called from; the answer still arrives."""
    stopped[:] = [site.worker]
    rpc = site.conn.rpc(timeout=20)
    stop_me = rpc.stop_me_async if world.awaits else rpc.stop_me
    assert await world.call(stop_me, gate.key) == "stopped"
    assert gate.notes[0] < 3
    await world.call(site.worker.join)


async def test_join_ends_with_stop(world: World, site: Site) -> None:
    joining = {name: world.begin(node.join) for name, node in site.nodes.items()}
    await world.sleep(0.1)
    assert not any(one.done() for one in joining.values())
    for name, node in reversed(list(site.nodes.items())):
        await world.call(node.stop)
        assert await joining[name].result(within=5) is None


@engine_alone
@over_tcp
@over_service
async def test_it_does_not_wait_for_ever(world: World, site: Site, gate: Gate) -> None:
    running = world.begin(site.conn.rpc(timeout=60).hold, gate.key)
    await world.until(lambda: gate.inside == 1)
    before = time.monotonic()
    await world.call(site.server.stop)
    assert 8 < time.monotonic() - before < 13
    with pytest.raises(ConnectionError):
        await running.result(within=5)


async def test_nothing_is_left_of_stopped_nodes(world: World) -> None:
    def threads() -> set[str]:
        return {thread.name for thread in threading.enumerate() if thread.is_alive()}

    async def turn() -> None:
        async with world.entered(world.Service("server", workers=4)) as service:
            client = world.Client("caller", port=service.port, expose=())
            client.add_event_handler(lambda event: None)
            async with world.entered(client) as conn:
                for name in ("add", "add_async"):
                    assert await world.call(getattr(conn.rpc(timeout=5), name), 1, 2) == 3

    await turn()
    before = len(threading.enumerate())
    for _ in range(10):
        await turn()
    deadline = time.monotonic() + 5
    while len(threading.enumerate()) > before and time.monotonic() < deadline:
        await world.sleep(0.02)
    assert len(threading.enumerate()) <= before, threads()


async def test_a_generator_that_is_stopped(world: World, site: Site, gate: Gate) -> None:
    """A stream without an end does not hold its node for ever, and ends typed."""
    taken: list[int] = []

    def items() -> Iterator[dict[str, Any]]:
        while True:
            taken.append(1)
            yield {"key": gate.key, "data": b"x"}

    conn = await site.join("endless")
    running = world.begin(conn.stream(serde="PICKLE").stop_keep, items())
    await world.until(lambda: len(gate.notes) > 10)
    await world.begin(site.nodes["endless"].stop).result(within=13)
    with pytest.raises(DaffiError):
        await running.result(within=5)
    count = len(taken)
    await world.sleep(0.1)
    assert len(taken) == count
    await site.settled()

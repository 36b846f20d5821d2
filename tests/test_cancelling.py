"""What a timeout, a dead caller and a dead worker leave behind: nothing, on any side.

Each test looks at the worker's own state and at the gauges of every side.
"""

from __future__ import annotations

import time

import pytest
from gates import Gate, gate_of, new_gate
from loops import cancelled, pause, shielded
from programs import Programs
from sites import Site, over_router
from worlds import World

from daffi import callback
from daffi.exceptions import CallTimeout, Disconnected


@callback
async def cancel_stubborn(key: int) -> str:
    """Take a while to clean up after being cancelled."""
    gate = gate_of(key)
    gate.enter()
    try:
        await pause(30)
    except cancelled():
        gate.cancelled += 1
        with shielded():
            await pause(0.2)
        gate.notes.append("cleaned")
        raise
    return "never"


async def test_a_timeout_cancels_a_coroutine(world: World, site: Site, gate: Gate) -> None:
    with pytest.raises(CallTimeout):
        await world.call(site.conn.rpc(timeout=0.3).hold_async, gate.key)
    await world.until(lambda: gate.cancelled == 1)
    assert (gate.entered, gate.left) == (1, 1)
    await site.settled()


async def test_a_cancelled_coroutine_may_clean_up(world: World, site: Site, gate: Gate) -> None:
    with pytest.raises(CallTimeout):
        await world.call(site.conn.rpc(timeout=0.2).cancel_stubborn, gate.key)
    await world.until(lambda: gate.notes == ["cleaned"])
    await site.settled()
    assert await world.call(site.conn.rpc(timeout=10).add_async, 1, 2) == 3


async def test_a_queued_call_never_starts(world: World, site: Site, gate: Gate) -> None:
    busy = world.begin(site.conn.rpc(timeout=20).hold, gate.key, "first")
    await world.until(lambda: gate.inside == 1)
    queued = new_gate()
    with pytest.raises(CallTimeout):
        await world.call(site.conn.rpc(timeout=0.2).hold, queued.key)
    await world.until(lambda: site.worker.stats()["queued"] == 0)
    gate.open()
    assert await busy.result() == "first"
    await site.settled()
    assert await world.call(site.conn.rpc(timeout=10).add, 1, 2) == 3
    assert queued.entered == 0


async def test_a_running_thread_finishes_and_its_result_is_dropped(
    world: World, site: Site, gate: Gate
) -> None:
    with pytest.raises(CallTimeout):
        await world.call(site.conn.rpc(timeout=0.2).hold, gate.key, "late")
    await world.until(lambda: site.caller.stats()["calls_in_flight"] == 0)
    assert gate.inside == 1  # it is left to finish
    gate.open()
    await world.until(lambda: gate.left == 1)
    await site.settled()
    answers = [await world.call(site.conn.rpc(timeout=10).echo, i) for i in range(20)]
    assert answers == list(range(20))  # nobody was given the late one


async def test_many_timeouts_leave_nothing(world: World, site: Site, gate: Gate) -> None:
    async_calls = [world.begin(site.conn.rpc(timeout=0.3).hold_async, gate.key) for _ in range(40)]
    calls = [world.begin(site.conn.rpc(timeout=0.3).hold, gate.key) for _ in range(40)]
    casts = [world.begin(site.conn.cast(timeout=0.3).hold, gate.key) for _ in range(20)]
    for one in [*async_calls, *calls, *casts]:
        with pytest.raises(CallTimeout):
            await one.result()
    gate.open()
    await site.settled()
    # One worker at a time: one that is cancelled lets the next in before its own deadline, but
    # most were still queued at theirs, and never ran.
    assert gate.entered == gate.left < 50
    assert await world.call(site.conn.rpc(timeout=10).add, 1, 2) == 3


async def test_a_cast_that_is_late_is_cancelled(world: World, site: Site, gate: Gate) -> None:
    if site.topology == "router":
        await site.join("second", expose=None)
    with pytest.raises(CallTimeout):
        await world.call(site.conn.cast(timeout=0.3).hold_async, gate.key)
    workers = 2 if site.topology == "router" else 1
    await world.until(lambda: gate.cancelled == workers)
    await site.settled()


async def test_a_stream_that_is_late_is_cancelled(world: World, site: Site, gate: Gate) -> None:
    stream = site.conn.stream(timeout=0.3, serde="PICKLE")
    with pytest.raises(CallTimeout):
        await world.call(stream.hold_async, [gate.key])
    await world.until(lambda: gate.cancelled == 1)
    await site.settled()


async def test_a_call_whose_deadline_passed_in_the_queue_is_not_run(
    world: World, site: Site, gate: Gate
) -> None:
    busy = world.begin(site.conn.rpc(timeout=20).hold, gate.key)
    await world.until(lambda: gate.inside == 1)
    late = [new_gate() for _ in range(10)]
    calls = [world.begin(site.conn.rpc(timeout=0.2).hold, one.key) for one in late]
    for call in calls:
        with pytest.raises(CallTimeout):
            await call.result()
    gate.open()
    await busy.result()
    await site.settled()
    assert [one.entered for one in late] == [0] * 10


async def test_the_deadline_reaches_the_callback(world: World, site: Site, gate: Gate) -> None:
    asked = time.monotonic()
    await world.call(site.conn.rpc(timeout=5).note_deadline, gate.key)
    (deadline,) = gate.notes
    assert asked + 4 < deadline < time.monotonic() + 5


async def test_the_death_of_the_caller_cancels(
    world: World, site: Site, gate: Gate, programs: Programs
) -> None:
    doomed = programs.ready("doomed.py", site.url, str(gate.key))
    await world.until(lambda: gate.inside == 1)
    await world.thread(doomed.kill)
    await world.until(lambda: gate.cancelled == 1)
    await site.settled()
    assert gate.entered == 1  # what it had queued never started


@over_router
async def test_the_death_of_the_worker_ends_its_calls(
    world: World, site: Site, programs: Programs
) -> None:
    mortal = programs.ready("serve.py", "worker", "--url", site.url, "--name", "mortal")
    await world.call(site.conn.wait_for_members, "mortal", timeout=5)
    pinned = site.conn.rpc(timeout=30, receiver="mortal")
    running = [world.begin(pinned.nap, 20) for _ in range(20)]
    await world.until(lambda: site.caller.stats()["calls_in_flight"] == 20)
    await world.call(site.conn.members)  # the server has answered this, so it has had those
    killed = await world.thread(mortal.kill)
    for one in running:
        with pytest.raises(Disconnected) as caught:
            await one.result(within=5)
        assert caught.value.worker == "mortal"
        assert caught.value.sent is not True
    assert time.monotonic() - killed < 1.5
    await site.settled()
    assert await world.call(site.conn.rpc(timeout=10).add, 1, 2) == 3


async def test_the_death_of_a_service_ends_its_calls(world: World, programs: Programs) -> None:
    service, url = programs.serve("service")
    client = world.Client("caller", url=url, expose=(), reconnect=False)
    conn = await world.call(client.connect)
    running = [world.begin(conn.rpc(timeout=30).nap, 20) for _ in range(20)]
    await world.until(lambda: client.stats()["calls_in_flight"] == 20)
    await world.call(conn.members)  # the service has answered this, so it has had those
    killed = await world.thread(service.kill)
    for one in running:
        with pytest.raises(Disconnected) as caught:
            await one.result(within=5)
        assert caught.value.sent is None
    assert time.monotonic() - killed < 1.5
    assert client.stats()["calls_in_flight"] == 0
    await world.call(client.stop)


async def test_a_callback_that_kills_its_process(world: World, programs: Programs) -> None:
    for how in ("kill", "exit"):
        _, url = programs.serve("service")
        client = world.Client("caller", url=url, expose=(), reconnect=False)
        conn = await world.call(client.connect)
        before = time.monotonic()
        with pytest.raises(Disconnected):
            await world.call(conn.rpc(timeout=30).die, how)
        assert time.monotonic() - before < 1.5
        await world.call(client.stop)

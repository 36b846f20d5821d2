"""One call to many workers: who is meant, whose answer is whose, and who did not answer."""

from __future__ import annotations

import threading
import time

import pytest
from gates import Gate, gate_of
from programs import Programs
from sites import Site, over_router, over_service
from worlds import World

from daffi import callback
from daffi.exceptions import CallTimeout, Disconnected, RemoteCallError, TransmissionFailure


@callback
def cast_one_raises(key: int, thread: int, answer: int) -> int:
    """Raise on one of the workers of this process, told by its thread."""
    if threading.get_ident() == thread:
        raise ValueError("this one")
    gate_of(key).notes.append(answer)
    return answer


@callback
def cast_one_waits(key: int, thread: int) -> str:
    """Wait at the gate on one of the workers, told by its thread."""
    gate = gate_of(key)
    if threading.get_ident() == thread:
        gate.enter()
        gate.wait()
        gate.leave()
    return "done"


async def three(site: Site) -> dict[str, int]:
    """Two more workers; the thread of each of the three."""
    for name in ("second", "third"):
        await site.join(name, expose=None)
    threads = await site.world.call(site.conn.cast(timeout=10).thread_id)
    assert isinstance(threads, dict)
    return threads


@over_service
async def test_a_service_is_all_there_is(world: World, site: Site) -> None:
    assert await world.call(site.conn.cast(timeout=10).add, 1, 2) == {"server": 3}


@over_router
async def test_all_who_expose_it(world: World, site: Site) -> None:
    await three(site)
    await site.join("narrow", expose=["echo"])
    assert await world.call(site.conn.cast(timeout=10).add, 1, 2) == {
        "worker": 3,
        "second": 3,
        "third": 3,
    }
    assert "narrow" in await world.call(site.conn.cast(timeout=10).echo, 1)
    await site.settled()


@over_router
async def test_those_who_are_named(world: World, site: Site) -> None:
    await three(site)
    one = site.conn.cast(timeout=10, receiver="second")
    assert await world.call(one.add, 1, 2) == {"second": 3}
    two = site.conn.cast(timeout=10, receiver=["third", "worker"])
    assert await world.call(two.add, 1, 2) == {"third": 3, "worker": 3}
    pair = site.conn.cast(timeout=10, receiver=("third", "third"))
    assert await world.call(pair.add, 1, 2) == {"third": 3}


@over_router
async def test_one_name_that_is_not_there_stops_all(world: World, site: Site, gate: Gate) -> None:
    await three(site)
    gate.open()
    named = site.conn.cast(timeout=10, receiver=["worker", "nobody"])
    with pytest.raises(TransmissionFailure, match="nobody"):
        await world.call(named.hold, gate.key)
    await site.settled()
    assert gate.entered == 0


@over_router
async def test_a_worker_that_raises_has_its_exception_as_value(
    world: World, site: Site, gate: Gate
) -> None:
    threads = await three(site)
    answers = await world.call(
        site.conn.cast(timeout=10).cast_one_raises, gate.key, threads["second"], 7
    )
    assert answers["worker"] == answers["third"] == 7
    error = answers["second"]
    assert isinstance(error, ValueError) and isinstance(error, RemoteCallError)
    assert error.worker == "second" and "this one" in str(error)
    assert gate.notes == [7, 7]


@over_router
async def test_a_worker_that_dies_has_its_exception_as_value(
    world: World, site: Site, programs: Programs
) -> None:
    mortal = programs.ready("serve.py", "worker", "--url", site.url, "--name", "mortal")
    await world.call(site.conn.wait_for_members, "mortal", timeout=5)
    await site.join("second", expose=None)
    cast = site.conn.cast(timeout=20, receiver=["mortal", "second"])
    running = world.begin(cast.nap, 0.5)
    await world.until(lambda: site.nodes["second"].stats()["running"] == 1)
    killed = mortal.kill()
    answers = await running.result()
    assert time.monotonic() - killed < 3
    assert answers["second"] == 0.5
    error = answers["mortal"]
    assert isinstance(error, Disconnected)
    assert error.worker == "mortal" and error.sent is None
    await site.settled()


@over_router
async def test_timeout_has_the_answers_that_came(world: World, site: Site, gate: Gate) -> None:
    threads = await three(site)
    with pytest.raises(CallTimeout) as caught:
        await world.call(site.conn.cast(timeout=0.4).cast_one_waits, gate.key, threads["third"])
    error = caught.value
    assert error.partial == {"worker": "done", "second": "done"}
    assert list(error.receivers) == ["third"]
    assert error.call == "cast_one_waits" and error.timeout == pytest.approx(0.4)
    assert error.elapsed is not None and 0.39 <= error.elapsed < 2
    gate.open()
    await site.settled()


@over_router
async def test_timeout_is_for_the_whole(world: World, site: Site, gate: Gate) -> None:
    await three(site)
    before = time.monotonic()
    with pytest.raises(CallTimeout) as caught:
        await world.call(site.conn.cast(timeout=0.4).hold, gate.key)
    assert 0.39 <= time.monotonic() - before < 1.2
    assert caught.value.partial == {}
    assert set(caught.value.receivers) == {"worker", "second", "third"}


@over_router
async def test_the_caller_uploads_once(world: World, site: Site) -> None:
    await three(site)
    before = site.caller.stats()["bytes_sent"]
    data = b"x" * 3_000_000
    assert set((await world.call(site.conn.cast(timeout=20).length, data)).values()) == {3_000_000}
    assert site.caller.stats()["bytes_sent"] - before < 3_500_000


@over_router
async def test_a_cast_in_each_format(world: World, site: Site) -> None:
    await three(site)
    for serde in ("PICKLE", "JSON", "MSGPACK", "OPAQUE"):
        answers = await world.call(site.conn.cast(timeout=10, serde=serde).echo, "text")
        assert answers == {"worker": "text", "second": "text", "third": "text"}

"""Cancelling and deadlines: from the caller's task to the worker's coroutine, and then nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from gates import Gate, gate_of
from places import Place, until
from programs import Programs

from daffi import callback, current_call
from daffi.aio import AsyncClient
from daffi.exceptions import CallTimeout

_conns: dict[str, Any] = {}


@callback
async def aio_nested(key: int, depth: int) -> Any:
    """Call itself on, and at the bottom run until cancelled."""
    gate = gate_of(key)
    gate.notes.append(current_call().deadline)
    if not depth:
        return await aio_wait(key)
    gate.enter()
    try:
        return await _conns["worker"].rpc(receiver="worker").aio_nested(key, depth - 1)
    except asyncio.CancelledError:
        gate.cancelled += 1
        raise
    finally:
        gate.leave()


async def aio_wait(key: int) -> None:
    gate = gate_of(key)
    gate.enter()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        gate.cancelled += 1
        raise
    finally:
        gate.leave()


async def begun(gate: Gate, count: int = 1) -> None:
    await until(lambda: gate.inside == count)


async def ended(place: Place, gate: Gate, count: int = 1) -> None:
    """All were cancelled, their `finally` has run to its end, and no table holds anything."""
    await until(lambda: gate.left == count)
    assert (gate.entered, gate.cancelled) == (count, count)
    assert gate.notes == ["cleaned"] * count
    await place.settled()


async def test_a_task(place: Place, gate: Gate) -> None:
    task = asyncio.create_task(place.conn.rpc().aio_stubborn(gate.key))
    await begun(gate)
    task.cancel("why")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    await ended(place, gate)


async def test_a_coroutine_around_it(place: Place, gate: Gate) -> None:
    async def around() -> None:
        await place.conn.rpc().aio_stubborn(gate.key)

    task = asyncio.create_task(around())
    await begun(gate)
    task.cancel()
    await asyncio.wait([task])
    await ended(place, gate)


async def test_the_call_itself(place: Place, gate: Gate) -> None:
    call = place.conn.rpc().aio_stubborn(gate.key)
    await begun(gate)
    assert call.cancel("why")
    assert call.cancelled()
    assert not call.cancel()
    with pytest.raises(asyncio.CancelledError, match="why"):
        await call
    await ended(place, gate)


async def test_closing_it_as_a_coroutine(place: Place, gate: Gate) -> None:
    call = place.conn.rpc().aio_stubborn(gate.key)
    await begun(gate)
    call.close()
    await ended(place, gate)


async def test_gather(place: Place, gate: Gate) -> None:
    calls = asyncio.gather(*(place.conn.rpc().aio_stubborn(gate.key) for _ in range(5)))
    await begun(gate, 5)
    calls.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls
    await ended(place, gate, 5)


async def test_a_deadline(place: Place, gate: Gate) -> None:
    with pytest.raises(CallTimeout):
        await place.conn.rpc(timeout=0.2).aio_stubborn(gate.key)
    await ended(place, gate)


async def test_a_deadline_that_nobody_awaits(place: Place, gate: Gate) -> None:
    place.conn.rpc(timeout=0.2).aio_stubborn(gate.key)
    await begun(gate)
    await ended(place, gate)


async def test_a_stream(place: Place, gate: Gate) -> None:
    async def items() -> Any:
        try:
            while True:
                yield gate.key
        finally:
            gate.notes.append("closed")

    task = asyncio.create_task(place.conn.stream(serde="json").aio_stubborn(items()))
    await begun(gate)
    task.cancel()
    await asyncio.wait([task])
    await until(lambda: gate.left == 1)
    assert (gate.entered, gate.cancelled) == (1, 1)
    assert sorted(gate.notes) == ["cleaned", "closed"]
    await place.settled()


async def test_a_chunk(place: Place, gate: Gate) -> None:
    stream = place.conn.stream(serde="json").aio_stubborn
    task = asyncio.create_task(stream(gate.key))
    await begun(gate)
    after = place.conn.stream(serde="json").add
    task.cancel()
    await asyncio.wait([task])
    await ended(place, gate)
    await after(1)  # another stream knows nothing of it
    assert await asyncio.gather(*(after(i) for i in range(5))) == [None] * 5
    del after  # which is what ends it
    await place.settled()


async def test_a_chunk_among_others(place: Place, gate: Gate) -> None:
    stream = place.conn.stream(serde="json").aio_first_hangs
    chunks = [stream(f"{gate.key} {i}") for i in range(3)]
    await begun(gate)
    chunks[1].cancel()  # it has not been sent
    chunks[0].cancel()
    assert await asyncio.wait_for(chunks[2], 10) is None
    await until(lambda: gate.left == 1)
    assert (gate.cancelled, gate.notes) == (1, [2])
    del stream
    await place.settled()


@callback
async def aio_first_hangs(item: str) -> None:
    """Run until cancelled for item 0, and note the others."""
    key, number = map(int, item.split())
    if number == 0:
        await aio_wait(key)
    gate_of(key).notes.append(number)


async def test_every_leg_of_a_cast(gate: Gate) -> None:
    async with Place("router") as place:
        others = [AsyncClient(f"w{i}", port=place.server.port) for i in range(3)]
        for other in others:
            await other.connect()
        await place.conn.wait_for_members("w0", "w1", "w2", timeout=10)
        for timeout in (None, 0.3):
            cast = asyncio.create_task(place.conn.cast(timeout=timeout).aio_stubborn(gate.key))
            await until(lambda: gate.inside == 4)
            if timeout is None:
                cast.cancel()
            await asyncio.wait([cast])
            await until(lambda: gate.inside == 0)
        assert gate.cancelled == 8
        assert gate.notes == ["cleaned"] * 8
        await place.settled()
        await until(lambda: not any(other.stats()["running"] for other in others))
        for other in others:
            await other.stop()


async def test_the_end_of_a_callers_process(place: Place, gate: Gate, programs: Programs) -> None:
    url = f"tcp://127.0.0.1:{place.server.port}"
    program = await asyncio.to_thread(programs.ready, "aio_caller.py", url, str(gate.key))
    await begun(gate, 3)
    await asyncio.to_thread(program.kill)
    await until(lambda: gate.left == 3)
    assert gate.cancelled == 3
    assert gate.notes == ["cleaned"] * 3
    await place.settled()


async def test_nested_calls_inherit_deadline_and_cancelling(gate: Gate) -> None:
    async with Place("router") as place:
        assert isinstance(place.worker, AsyncClient)
        _conns["worker"] = await place.worker.connect()
        before = time.monotonic()
        with pytest.raises(CallTimeout):
            await place.conn.rpc(timeout=0.5).aio_nested(gate.key, 3)
        await until(lambda: gate.left == 4)
        assert gate.cancelled >= 1  # those who wait for another may have seen their own timeout
        assert len(gate.notes) == 4
        assert all(abs(deadline - (before + 0.5)) < 0.2 for deadline in gate.notes)
        await place.settled()
        gate.cancelled = 0
        task = asyncio.create_task(place.conn.rpc().aio_nested(gate.key, 3))
        await until(lambda: gate.inside == 4)
        task.cancel()
        await until(lambda: gate.inside == 0)
        assert gate.cancelled == 4
        await place.settled()


async def test_cleaning_up_survives_the_garbage_collector(place: Place, gate: Gate) -> None:
    task = asyncio.create_task(place.conn.rpc().aio_waits_for_itself(gate.key))
    await begun(gate)
    task.cancel()
    await until(lambda: gate.notes)
    await until(lambda: not place.caller.stats()["calls_in_flight"])  # for it, it has ended
    gc.collect()
    await asyncio.sleep(0.01)
    assert gate.inside == 1
    gate.notes.pop()()
    await until(lambda: gate.inside == 0)
    await place.settled()


@callback
async def aio_waits_for_itself(key: int) -> None:
    """Clean up by awaiting something that only the test refers to, weakly."""
    import weakref

    gate = gate_of(key)
    gate.enter()
    try:
        await asyncio.Event().wait()
    finally:
        event = asyncio.Event()
        known = weakref.ref(event)

        def let_go() -> None:
            if (found := known()) is not None:
                found.set()

        gate.notes.append(let_go)
        await event.wait()
        gate.leave()


@pytest.mark.timeout(120)
@pytest.mark.site(worker={"workers": 50})
async def test_ten_thousand_random_cancels_leave_nothing(place: Place) -> None:
    dice = random.Random(7)

    def make() -> Any:
        seconds = dice.choice([0, 0.001, 0.005, 0.02])
        timeout = dice.choice([None, None, 0.003, 5])
        style = dice.random()
        if style < 0.6:
            return place.conn.rpc(timeout=timeout).aio_linger(seconds)
        if style < 0.8:
            return place.conn.cast(timeout=timeout).aio_linger(seconds)
        if style < 0.9:
            return place.conn.rpc(timeout=timeout).nap(seconds / 10)
        return place.conn.stream(timeout=timeout, serde="json").aio_linger(iter([seconds] * 3))

    async def one() -> None:
        call = make()
        task = asyncio.create_task(call) if dice.random() < 0.5 else asyncio.ensure_future(call)
        if dice.random() < 0.8:
            await asyncio.sleep(dice.choice([0, 0, 0.001, 0.004]))
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()

    def counts() -> tuple[int, int, int]:
        gc.collect()
        files = Path("/proc/self/fd")
        descriptors = len(os.listdir(files)) if files.exists() else 0
        return len(asyncio.all_tasks()), descriptors, threading.active_count()

    await asyncio.gather(*(one() for _ in range(200)))
    for number in range(300):  # until the loop has read: each connection has descriptors for that
        assert await place.conn.rpc(timeout=10).add_async(number, 1) == number + 1
    await place.settled()
    tasks, descriptors, threads = counts()
    for _ in range(50):
        await asyncio.gather(*(one() for _ in range(200)))
    await place.settled()
    await until(lambda: counts()[0] <= tasks)
    more = counts()[2] - threads  # of the node's own, where they were not there yet
    assert more <= 50
    assert counts()[1] <= descriptors + more + 10
    from daffi._native import Call, Job

    left = [one for one in gc.get_objects() if isinstance(one, (Call, Job))]
    assert len(left) < 10, left[:10]
    assert await place.conn.rpc(timeout=10).add(1, 2) == 3

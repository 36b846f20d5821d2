"""Nodes and calls where loops come and go: several at once, one after another, closed early."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from gates import Gate
from gauges import busy
from places import Place, until

import daffi
from daffi import callback
from daffi.aio import AsyncClient, AsyncService

DESCRIPTORS = Path("/proc/self/fd")


@callback
async def aio_loop_id() -> int:
    """The loop that runs it."""
    return id(asyncio.get_running_loop())


@pytest.fixture
def service() -> Iterator[daffi.Service]:
    """A server that needs no loop of ours."""
    with daffi.Service() as made:
        yield made


async def test_loops_in_threads_share_a_client(place: Place) -> None:
    results: list[list[int]] = []

    async def work(number: int) -> None:
        assert await place.caller.connect() is place.conn
        calls = [place.conn.rpc().add_async(number, i) for i in range(200)]
        results.append([value - number for value in await asyncio.gather(*calls)])

    threads = [threading.Thread(target=lambda n=n: asyncio.run(work(n))) for n in range(4)]
    for thread in threads:
        thread.start()
    await work(9)
    await until(lambda: not any(thread.is_alive() for thread in threads), 20)
    assert results == [list(range(200))] * 5
    # Callbacks run where they did before.
    assert await place.conn.rpc(timeout=5).aio_loop_id() == id(asyncio.get_running_loop())
    await place.settled()


def test_loops_that_take_turns_in_one_thread(service: daffi.Service) -> None:
    loops = [asyncio.new_event_loop() for _ in range(3)]
    client = AsyncClient(port=service.port)
    conn = loops[0].run_until_complete(client.connect())

    async def call() -> Any:
        return await conn.rpc(timeout=10).add(1, 2)

    def turns() -> list[Any]:
        return [loop.run_until_complete(call()) for loop in loops]

    assert turns() == [3, 3, 3]
    if DESCRIPTORS.exists():
        before = len(os.listdir(DESCRIPTORS))
        for _ in range(50):
            turns()
        assert len(os.listdir(DESCRIPTORS)) < before + 20
    loops[0].run_until_complete(client.stop())
    for loop in loops:
        loop.close()


def test_a_second_run_with_the_same_nodes(gate: Gate) -> None:
    service, events = AsyncService(), list[str]()
    client: AsyncClient | None = None

    async def first() -> None:
        nonlocal client
        await service.start()
        client = AsyncClient("here", port=service.port)
        client.on_member_added(events.append)
        conn = await client.connect()
        assert await conn.rpc(timeout=10).add_async(1, 2) == 3
        conn.rpc().hold_async(gate.key)
        await until(lambda: gate.inside == 1 and events)

    async def second() -> None:
        assert client is not None
        await service.start()
        conn = await client.connect()
        assert await conn.rpc(timeout=10).add_async(1, 2) == 3
        assert await conn.rpc(timeout=10).add(1, 2) == 3
        async with AsyncClient("other", port=service.port):
            await until(lambda: "other" in events)
        assert await conn.rpc(timeout=10).aio_loop_id() == id(asyncio.get_running_loop())
        await until(lambda: not busy(client, service))
        await client.stop()
        await service.stop()

    asyncio.run(first())
    assert gate.cancelled == 1
    asyncio.run(second())


@pytest.mark.parametrize("again", [False, True])
def test_a_loop_closed_with_calls_pending(
    service: daffi.Service, gate: Gate, again: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client = AsyncClient(port=service.port)
    left: list[weakref.ref[Any]] = []

    async def forget() -> None:
        conn = await client.connect()
        calls = [conn.rpc().hold_async(gate.key), conn.cast(timeout=100).hold_async(gate.key)]
        chunks = conn.stream(serde="json").hold_async
        calls += [chunks(gate.key), chunks(gate.key), conn.stream(serde="json").hold(iter([1]))]
        left.extend(weakref.ref(call) for call in calls)
        calls[0].add_done_callback(lambda _: left.clear())
        await until(lambda: gate.inside == 1)

    async def wait() -> None:
        await until(lambda: not busy(client, service))

    loop = asyncio.new_event_loop()
    loop.run_until_complete(forget())
    loop.close()
    gc.collect()
    assert [one() for one in left] == [None] * 5
    closed = weakref.ref(loop)
    del loop
    asyncio.run(wait())  # they were given up, and the worker knows it
    assert gate.inside == 0
    if again:
        conn = asyncio.run(client.connect())

        async def call() -> Any:
            return await conn.rpc(timeout=10).add(1, 2)

        assert asyncio.run(call()) == 3
        gc.collect()
        assert closed() is None
    asyncio.run(client.stop())
    assert not caplog.records


def test_a_loop_that_nobody_closes(service: daffi.Service) -> None:
    async def call() -> Any:
        async with AsyncClient(port=service.port) as conn:
            return await conn.rpc(timeout=10).add(1, 2)

    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(call()) == 3
    left = weakref.ref(loop)
    other = asyncio.new_event_loop()
    assert other.run_until_complete(call()) == 3
    other.close()
    with pytest.warns(ResourceWarning):
        del loop
        # The engine lets go of what it held for the loop on a thread of its own.
        deadline = time.monotonic() + 5
        while left() is not None and time.monotonic() < deadline:
            time.sleep(0.001)
            gc.collect()
    assert left() is None


async def test_starting_and_connecting_at_the_same_time() -> None:
    service = AsyncService()
    await asyncio.gather(*(service.start() for _ in range(5)))
    client = AsyncClient(port=service.port)
    conns = await asyncio.gather(*(client.connect(wait=5) for _ in range(5)))
    assert len(set(map(id, conns))) == 1
    assert await conns[0].rpc(timeout=10).add_async(1, 2) == 3
    assert service.stats()["connections"] == 1
    await asyncio.gather(client.stop(), client.stop(), service.stop(), service.stop())


def _in_child(work: Callable[[], Coroutine[Any, Any, Any]]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        asyncio.run(asyncio.wait_for(work(), 15))
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
async def test_a_fork_in_the_middle_of_a_loop(place: Place) -> None:
    async def work() -> None:
        with pytest.raises(daffi.exceptions.ForkedError):
            await place.conn.rpc(timeout=5).add(1, 2)
        async with AsyncClient(port=place.server.port, expose=()) as conn:
            calls = [conn.rpc(timeout=1.5).add(i, 0) for i in range(100)]
            assert await asyncio.gather(*calls) == list(range(100))

    for calls in (1, 10):  # alone it runs on otherwise than with others
        await asyncio.gather(*(place.conn.rpc().add_async(1, 2) for _ in range(calls)))
        await place.conn.rpc().nap(0.1)  # which is not there at once, but wakes us
        pid = _in_child(work)
        assert await asyncio.to_thread(os.waitpid, pid, 0) == (pid, 0)
    assert await place.conn.rpc(timeout=10).add_async(1, 2) == 3

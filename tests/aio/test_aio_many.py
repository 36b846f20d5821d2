"""Many: calls in flight, clients that call, clients that do nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from gates import Gate
from gauges import busy
from places import Place, until
from programs import Programs

from daffi.aio import AsyncClient

HELD = 0.05  # seconds; 2 ms by design, and the noise of a machine that others use too


def resident() -> int:
    """Bytes of memory that this process has; at most so far, where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()


class Ticker:
    """How long the loop was not to be had, at most."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.perf_counter()
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.longest = max(self.longest, now - self._last)
        self._last = now
        self._handle = self._loop.call_soon(self._tick)

    def stop(self) -> float:
        self._handle.cancel()
        return self.longest


@pytest.mark.site(worker={"workers": 20_000})
async def test_ten_thousand_in_flight_on_one_connection(place: Place, gate: Gate) -> None:
    calls = [place.conn.rpc(timeout=30).hold_async(gate.key, n) for n in range(10_000)]
    await until(lambda: gate.inside == 10_000, 20)
    assert place.caller.stats()["calls_in_flight"] == 10_000
    gate.open()
    assert await asyncio.gather(*calls) == list(range(10_000))
    await place.settled()


async def test_answers_do_not_hold_the_loop(programs: Programs) -> None:
    _, url = await asyncio.to_thread(programs.serve, "service")
    async with AsyncClient(url=url) as conn:
        ended = 0

        def count(_: object) -> None:
            nonlocal ended
            ended += 1

        gc.collect()
        gc.disable()  # what it takes is not ours
        try:
            for number in range(10_000):
                conn.rpc(timeout=30).add(number, 0).add_done_callback(count)
                if number % 20 == 0:
                    await asyncio.sleep(0)
            ticker = Ticker()
            await until(lambda: ended == 10_000, 30)
            longest = ticker.stop()
        finally:
            gc.enable()
        print(f"the loop was held for {longest * 1000:.1f} ms at most")
        assert longest < HELD


@pytest.mark.timeout(120)
async def test_two_hundred_callers(place: Place) -> None:
    async def call(number: int) -> int:
        async with AsyncClient(port=place.server.port, expose=()) as conn:
            got = await asyncio.gather(
                *(conn.rpc(timeout=60).add_async(number, i) for i in range(20))
            )
            assert got == [number + i for i in range(20)]
            return len(got)

    assert sum(await asyncio.gather(*(call(i) for i in range(200)))) == 4000
    await until(lambda: not busy(place.worker, place.server))


@pytest.mark.timeout(120)
async def test_a_thousand_idle_clients() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5000:
        pytest.skip("not that many descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 5000), hard))
    files = Path("/proc/self/fd")
    try:
        async with Place("router") as place, AsyncExitStack() as stack:
            before = len(os.listdir(files)) if files.exists() else 0
            memory = resident()
            clients = [AsyncClient(f"c{i}", port=place.server.port, expose=()) for i in range(1000)]
            for some in range(0, 1000, 50):
                await asyncio.gather(
                    *(stack.enter_async_context(client) for client in clients[some : some + 50])
                )
            grown = resident() - memory
            print(f"{grown // 1000 // 1024} KiB for each client, both ends of its connection")
            if files.exists():
                assert len(os.listdir(files)) - before <= 2 * 1000 + 20
            assert grown < 200 << 20
            assert await place.conn.rpc(timeout=10).add_async(1, 2) == 3
            assert place.server.stats()["connections"] == 1002
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

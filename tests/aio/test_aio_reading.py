"""Loops that read connections by themselves, as they do where calls come in quick succession."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import Any

import pytest
from gates import Gate, gate_of
from places import Place

import daffi
from daffi import callback
from daffi.aio import AsyncClient

QUICK = 300  # calls one after another


@callback
async def aio_hold_up(key: int) -> None:
    """Hold up the loop itself, all that it runs."""
    gate_of(key).enter()
    gate_of(key).wait()
    gate_of(key).leave()


@callback
def aio_let_go(key: int) -> None:
    """Let it go on; runs on a thread."""
    gate_of(key).open()


async def quick(conn: Any) -> None:
    """Calls after which the loops of both ends read."""
    for number in range(QUICK):
        assert await conn.rpc(timeout=10).add_async(number, 1) == number + 1


async def rests() -> bool:
    """Whether this process does next to nothing."""
    began = time.process_time()
    await asyncio.sleep(0.3)
    return time.process_time() - began < 0.15


async def test_a_loop_that_is_held_up_keeps_nothing_from_threads(place: Place, gate: Gate) -> None:
    def calls() -> None:
        with daffi.Client("blocking", port=place.server.port, expose=()) as conn:
            for number in range(QUICK):
                assert conn.rpc(timeout=10).add_async(number, 1) == number + 1
            held_up = conn.rpc(timeout=10).aio_hold_up
            holding = threading.Thread(target=held_up, args=[gate.key])
            holding.start()
            while not gate.inside:
                time.sleep(0.001)
            conn.rpc(timeout=5).aio_let_go(gate.key)
            holding.join(10)

    await asyncio.to_thread(calls)
    assert gate.left == 1
    await place.settled()


@pytest.mark.parametrize("place", ["router"], indirect=True)
async def test_a_caller_whose_loop_is_held_up_can_be_called(place: Place, gate: Gate) -> None:
    def let_go() -> None:
        with daffi.Client("blocking", port=place.server.port, expose=()) as conn:
            conn.rpc(timeout=5, receiver="here").aio_let_go(gate.key)

    async with AsyncClient("here", port=place.server.port) as conn:
        await quick(conn)
        letting_go = threading.Thread(target=let_go)
        letting_go.start()
        await quick(conn)
        gate.wait()
        letting_go.join()


async def test_large_messages_between_quick_calls(place: Place) -> None:
    for size in (100_000, 5_000_000):
        data = os.urandom(size)
        await quick(place.conn)
        large = place.conn.rpc(timeout=20, serde="opaque").echo(data)
        await quick(place.conn)
        assert await large == data
    await quick(place.conn)
    await place.settled()


def test_loops_that_come_and_go_between_quick_calls() -> None:
    with daffi.Service() as service:
        client = AsyncClient(port=service.port, expose=())

        async def calls() -> None:
            await quick(await client.connect())

        for _ in range(20):
            asyncio.run(calls())
        asyncio.run(client.stop())


async def test_a_server_that_goes_while_its_caller_reads(place: Place) -> None:
    await quick(place.conn)
    await place.server.stop()
    with pytest.raises(daffi.exceptions.DaffiError):
        await place.conn.rpc(timeout=0.5).add_async(1, 2)
    assert await rests()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
async def test_a_child_that_outlives_the_connection(place: Place) -> None:
    await quick(place.conn)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        os.read(read, 1)  # it has the socket as well, until its parent goes on
        os._exit(0)
    try:
        await quick(place.conn)
        await place.caller.stop()
        assert await rests()
    finally:
        os.close(write)
        os.close(read)
        assert os.waitpid(pid, 0) == (pid, 0)

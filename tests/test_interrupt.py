"""Ctrl-C in every blocking wait: heard at once, and the call is cancelled at the worker."""

from __future__ import annotations

import signal

import pytest
from gates import Gate
from programs import Program, Programs
from sites import Site, blocking_only, over_tcp
from worlds import World

pytestmark = [blocking_only, over_tcp]

HEARD = 1.0  # seconds; 0.2 by contract, and some noise of the machine


def start(programs: Programs, mode: str, url: str, gate: Gate) -> Program:
    return programs.ready("interrupted.py", mode, url, str(gate.key))


def interrupt(program: Program, word: str = "interrupted") -> None:
    """Press Ctrl-C; assert that it was heard, and in time."""
    sent = program.send_signal(signal.SIGINT)
    heard = float(program.expect(word, within=5))
    assert heard - sent < HEARD, f"heard after {heard - sent:.3f} s"


def again(program: Program) -> None:
    """Have it make one more call; the connection is of use yet."""
    program.tell("again")
    assert program.expect("again") == "3"


@pytest.mark.parametrize("mode", ["rpc", "rpc-timeout", "cast", "stream"])
async def test_in_a_call(
    world: World, site: Site, gate: Gate, programs: Programs, mode: str
) -> None:
    program = await world.thread(start, programs, mode, site.url, gate)
    await world.until(lambda: gate.inside == 1)
    await world.thread(interrupt, program)
    await world.until(lambda: gate.cancelled == 1)
    await world.thread(again, program)
    assert await world.thread(program.wait) == 0
    assert program.stderr == ""
    await site.settled()


async def test_in_a_call_that_is_queued(
    world: World, site: Site, gate: Gate, programs: Programs
) -> None:
    busy = world.begin(site.conn.rpc(timeout=30).hold, gate.key)
    await world.until(lambda: gate.inside == 1)
    program = await world.thread(start, programs, "rpc", site.url, gate)
    await world.until(lambda: site.worker.stats()["queued"] == 1)
    await world.thread(interrupt, program)
    await world.until(lambda: site.worker.stats()["queued"] == 0)
    gate.open()
    await busy.result()
    await world.thread(again, program)
    assert gate.entered == 1
    await site.settled()


@pytest.mark.parametrize("mode", ["members", "function", "full", "gone"])
async def test_in_other_waits(
    world: World, site: Site, gate: Gate, programs: Programs, mode: str
) -> None:
    program = await world.thread(start, programs, mode, site.url, gate)
    await world.sleep(0.2)  # there is no event that says it waits
    if mode == "gone":
        await world.call(site.server.stop)
        await world.thread(program.expect, "gone")
        await world.sleep(0.2)
    await world.thread(interrupt, program)
    gate.open()
    if mode != "gone":
        await world.thread(again, program)
    assert await world.thread(program.wait) == 0
    assert program.stderr == ""


async def test_in_connect(world: World, site: Site, gate: Gate, programs: Programs) -> None:
    nowhere = f"unix://{site.directory / 'nobody'}"
    program = await world.thread(start, programs, "connect", nowhere, gate)
    await world.sleep(0.2)
    await world.thread(interrupt, program)
    assert await world.thread(program.wait) == 0
    assert program.stderr == ""


async def test_join_returns(world: World, site: Site, gate: Gate, programs: Programs) -> None:
    program = await world.thread(start, programs, "join", site.url, gate)
    await world.thread(interrupt, program, "returned")
    assert await world.thread(program.wait) == 0
    assert program.stderr == ""

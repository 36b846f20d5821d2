"""A full pipe: the producer waits, then is refused; nothing is dropped, nothing grows."""

from __future__ import annotations

import itertools
import time

import pytest
from gates import Gate, new_gate
from sites import Site, awaited_only
from worlds import World

from daffi.exceptions import CallTimeout, Overloaded

MANY = 12_000  # more than all windows on the way can hold


class Flood:
    """A producer that never waits for answers, and how far it has come."""

    def __init__(self, site: Site, key: int) -> None:
        self.sent = 0
        self._site = site
        self._key = key

    async def run(self) -> None:
        send = self._site.conn.rpc_nowait().note
        for value in range(MANY):
            await self._site.world.call(send, self._key, value)
            self.sent += 1

    async def stalled(self, world: World) -> int:
        """Wait until the pipe is full; what was sent till then."""
        last = -1
        while last != self.sent:
            last = self.sent
            await world.sleep(0.3)
        return last


async def test_a_full_pipe_holds_the_producer_and_loses_nothing(
    world: World, site: Site, gate: Gate
) -> None:
    notes = new_gate()
    blocked = world.begin(site.conn.rpc(timeout=60).hold, gate.key, "done")
    await world.until(lambda: gate.inside == 1)
    flood = Flood(site, notes.key)
    flooding = world.spawn(flood.run())
    assert 500 < await flood.stalled(world) < MANY
    assert site.worker.stats()["queued"] <= 1_100  # of one connection

    never = new_gate()
    before = time.monotonic()
    with pytest.raises(Overloaded):
        await world.call(site.conn.rpc(timeout=0.3).note, never.key, "ran")
    assert 0.29 <= time.monotonic() - before < 2
    with pytest.raises(Overloaded):
        await world.call(site.conn.stream(timeout=0.3, serde="PICKLE").nothing, [1])

    gate.open()
    await flooding.result(within=30)
    assert await blocked.result() == "done"
    await world.until(lambda: len(notes.notes) == MANY, within=30)
    assert notes.notes == list(range(MANY))  # all, each once, in order
    await site.settled()
    assert never.notes == []


async def test_one_who_floods_does_not_stop_another(world: World, site: Site, gate: Gate) -> None:
    notes = new_gate()
    other = await site.join("other")
    blocked = world.begin(site.conn.rpc(timeout=60).hold, gate.key)
    await world.until(lambda: gate.inside == 1)
    flood = Flood(site, notes.key)
    flooding = world.spawn(flood.run())
    await flood.stalled(world)
    waits = world.begin(other.rpc(timeout=60).add, 1, 2)
    await world.sleep(0.2)
    assert not waits.done()  # behind the one worker thread, but taken
    gate.open()
    assert await waits.result() == 3
    await blocked.result()
    await flooding.result(within=30)
    await world.until(lambda: len(notes.notes) == MANY, within=30)
    await site.settled()


async def test_answers_flow_while_the_pipe_is_full(world: World, site: Site, gate: Gate) -> None:
    """Credit for calls holds up neither answers, cancels nor presence."""
    notes = new_gate()
    blocked = world.begin(site.conn.rpc(timeout=0.5).hold_async, gate.key)
    await world.until(lambda: gate.inside == 1)
    flood = Flood(site, notes.key)
    flooding = world.spawn(flood.run())
    with pytest.raises(CallTimeout):
        await blocked.result()
    await world.until(lambda: gate.cancelled == 1)
    members = await world.call(site.conn.members)
    assert "caller" in {member.name for member in members}
    await flooding.result(within=30)
    await world.until(lambda: len(notes.notes) == MANY, within=30)
    await site.settled()


@awaited_only
async def test_what_nobody_awaits_is_refused_when_the_pipe_is_full(
    world: World, site: Site, gate: Gate
) -> None:
    """It can't wait, and nothing may grow without end; what was taken is not lost."""
    notes = new_gate()
    blocked = world.begin(site.conn.rpc(timeout=60).hold, gate.key, "done")
    await world.until(lambda: gate.inside == 1)
    send = site.conn.rpc_nowait().note
    taken = 0
    with pytest.raises(Overloaded):
        for taken in itertools.count():
            send(notes.key, taken)
            if taken % 100 == 0:
                await world.sleep(0)
    assert 100 < taken < 200_000
    gate.open()
    assert await blocked.result() == "done"
    await world.until(lambda: len(notes.notes) == taken, within=30)
    assert notes.notes == list(range(taken))
    await site.settled()
    await world.call(send, notes.key, "again")

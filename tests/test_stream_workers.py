"""Which worker has a stream: one and the same for all of its items, until one of them ends."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest
from gates import Gate, gate_of
from programs import Programs
from sites import Site, over_router
from worlds import World

from daffi import callback
from daffi.exceptions import Disconnected, TransmissionFailure

pytestmark = over_router


@callback
def stream_where(item: tuple[int, Any]) -> None:
    """Keep which thread, so which worker, got an item."""
    gate_of(item[0]).notes.append(threading.get_ident())


@callback
def stream_chunk(item: dict[str, int]) -> None:
    """The same for an item that is not iterated."""
    gate_of(item["key"]).notes.append(threading.get_ident())


@pytest.mark.parametrize("style", ["stream", "stream_nowait"])
async def test_a_stream_stays_with_one_worker(
    world: World, site: Site, gate: Gate, style: str
) -> None:
    for name in ("second", "third"):
        await site.join(name, expose=None)
    begin = getattr(site.conn, style)
    for _ in range(6):
        gate.notes.clear()
        items = [(gate.key, i) for i in range(20)]
        await world.call(begin(serde="PICKLE").stream_where, items)
        await world.until(lambda: len(gate.notes) == 20)
        assert len(set(gate.notes)) == 1
    gate.notes.clear()
    for _ in range(6):  # new streams take turns
        await world.call(begin(serde="PICKLE").stream_where, [(gate.key, 0)])
    await world.until(lambda: len(gate.notes) == 6)
    assert len(set(gate.notes)) == 3


@pytest.mark.parametrize("style", ["stream", "stream_nowait"])
async def test_a_kept_proxy_called_chunk_by_chunk_stays_too(
    world: World, site: Site, gate: Gate, style: str
) -> None:
    for name in ("second", "third"):
        await site.join(name, expose=None)
    kept = getattr(site.conn, style)(serde="PICKLE")
    for value in range(12):
        await world.call(kept.stream_chunk, {"key": gate.key, "value": value})
    await world.until(lambda: len(gate.notes) == 12)
    assert len(set(gate.notes)) == 1


async def test_a_receiver_pins_a_stream(world: World, site: Site, gate: Gate) -> None:
    await site.join("second", expose=None)
    pinned = site.conn.rpc(timeout=10, receiver="second").thread_id
    second = await world.call(pinned)
    stream = site.conn.stream(serde="PICKLE", receiver="second", timeout=10)
    await world.call(stream.stream_where, [(gate.key, 0)] * 3)
    assert gate.notes == [second] * 3


async def test_the_death_of_its_worker_fails_it(
    world: World, site: Site, programs: Programs
) -> None:
    mortal = programs.ready("serve.py", "worker", "--url", site.url, "--name", "mortal")
    await world.call(site.conn.wait_for_members, "mortal", timeout=5)
    endless = (i for i in itertools.count())
    stream = site.conn.stream(receiver="mortal", serde="PICKLE")
    running = world.begin(stream.tell, endless)
    for _ in range(3):
        await world.thread(mortal.expect, "told")
    killed = mortal.kill()
    with pytest.raises(Disconnected) as caught:
        await running.result(within=5)
    assert time.monotonic() - killed < 2
    assert caught.value.worker == "mortal"
    with pytest.raises((Disconnected, TransmissionFailure)):  # it does not move to another
        await world.call(stream.tell, b"more")
    await site.settled()

"""What makes a transport: the core of all behaviour, over each of them, in every world.

What goes on above the bytes is tested elsewhere, over TCP and Unix sockets; here is what a
transport could break: every style and format, large payloads in both directions, a full pipe,
cancelling, loss and return, goodbyes.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

import pytest
from gates import Gate, gate_of
from sites import Site, over_all
from worlds import World

from daffi import callback
from daffi.exceptions import CallTimeout, Disconnected, TransmissionFailure

pytestmark = over_all

LARGE = 5_000_003  # bytes: many pieces, and no whole number of anything


@callback
async def transport_note(item: tuple[int, Any]) -> None:
    """Keep what came."""
    key, value = item
    gate_of(key).notes.append(value)


async def test_every_format(world: World, site: Site) -> None:
    plain = {"text": "grüße", "list": [1, 2.5, None, True]}
    some = [("PICKLE", {"tuple": (1, 2), "set": {3}})] if site.serde == "PICKLE" else []
    for serde, value in (
        *some,
        ("JSON", plain),
        ("MSGPACK", {**plain, "bytes": b"\0\xff"}),
        ("OPAQUE", b"\x16\x03\x01GET / HTTP/1.1"),
    ):
        assert await world.call(site.conn.rpc(timeout=10, serde=serde).echo, value) == value
    await site.settled()


async def test_large_payloads_both_ways_at_once(world: World, site: Site) -> None:
    data = bytes(range(256)) * (LARGE // 256) + b"end"
    echo = site.conn.rpc(timeout=30, serde="OPAQUE").echo
    calls = [partial(echo, data[size:]) for size in (0, 1, 65_537, LARGE // 2)]
    assert await world.together(calls) == [data[size:] for size in (0, 1, 65_537, LARGE // 2)]
    await site.settled()


async def test_many_small_calls_find_their_answers(world: World, site: Site) -> None:
    echo = site.conn.rpc(timeout=20, serde=site.serde).echo
    for _ in range(5):
        assert await world.together([partial(echo, i) for i in range(60)]) == list(range(60))
    await site.settled()


async def test_streams(world: World, site: Site, gate: Gate) -> None:
    items = [(gate.key, i) for i in range(200)]
    await world.call(site.conn.stream(timeout=20, serde=site.serde).transport_note, items)
    assert gate.notes == list(range(200))
    await world.call(site.conn.stream_nowait(serde=site.serde).transport_note, items)
    await world.until(lambda: len(gate.notes) == 400)
    assert gate.notes[200:] == list(range(200))
    await site.settled()


async def test_casts_and_calls_that_nobody_waits_for(world: World, site: Site, gate: Gate) -> None:
    names = [site.worker_name]
    if site.topology == "router":
        await site.join("second", expose=None)
        names = ["second", *names]
    answers = await world.call(site.conn.cast(timeout=10, serde=site.serde).add, 1, 2)
    assert answers == dict.fromkeys(names, 3)
    note = site.conn.rpc_nowait(receiver=site.worker_name, serde=site.serde).transport_note
    for i in range(50):
        await world.call(note, (gate.key, i))
    await world.until(lambda: len(gate.notes) == 50)
    assert gate.notes == list(range(50))
    await site.settled()


async def test_failures_arrive(world: World, site: Site, gate: Gate) -> None:
    with pytest.raises(TypeError):
        await world.call(site.conn.rpc(timeout=10, serde=site.serde).add)
    with pytest.raises(TransmissionFailure, match="no_such_function"):
        await world.call(site.conn.rpc(timeout=10, serde=site.serde).no_such_function)
    with pytest.raises(CallTimeout):
        await world.call(site.conn.rpc(timeout=1, serde=site.serde).hold_async, gate.key)
    await world.until(lambda: gate.cancelled == 1)
    await site.settled()


async def test_a_server_that_comes_back(world: World, site: Site, gate: Gate) -> None:
    port = site.server.port
    running = world.begin(site.conn.rpc(timeout=20, serde=site.serde).hold_async, gate.key)
    await world.until(lambda: gate.inside == 1)
    stopping = world.begin(site.server.stop)
    gate.open()
    with contextlib.suppress(Disconnected):  # or its answer came before the goodbye
        await running.result()
    await stopping.result()
    await world.until(lambda: site.caller.stats()["connections"] == 0)
    await site.start_server(port or 0)
    await world.call(site.conn.wait_for_function, "add", timeout=20)
    assert await world.call(site.conn.rpc(timeout=20, serde=site.serde).add, 1, 2) == 3
    await site.settled()


async def test_what_was_sent_is_there_after_stop(world: World, site: Site, gate: Gate) -> None:
    leaving = await site.join("leaving")
    for i in range(20):
        await world.call(leaving.rpc_nowait(serde=site.serde).transport_note, (gate.key, i))
    await world.call(site.nodes.pop("leaving").stop)
    await world.until(lambda: len(gate.notes) == 20)
    await site.settled()

"""Calls that nobody waits for: bounded where they are not awaited, patient where they are."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest
from gates import Gate, gate_of
from places import Place, until

from daffi import callback
from daffi.exceptions import Overloaded

BLOCK = 16 * 1024


@callback
async def aio_note_when_open(key: int, value: int, _: bytes = b"") -> None:
    """Note a value, once the gate is open."""
    gate = gate_of(key)
    await gate.wait_here()
    gate.notes.append(value)


def post_until_refused(place: Place, gate: Gate, first: int = 0) -> int:
    """How many were accepted."""
    post = place.conn.rpc_nowait().aio_note_when_open
    for number in range(first, 1_000_000):
        try:
            post(gate.key, number, bytes(BLOCK))
        except Overloaded:
            return number
    raise AssertionError("nothing was ever refused")


@pytest.mark.site(worker={"workers": 1})
async def test_at_the_limit_they_are_refused_and_none_is_lost(place: Place, gate: Gate) -> None:
    accepted = post_until_refused(place, gate)
    await asyncio.sleep(0.1)
    accepted = post_until_refused(place, gate, accepted)
    tracemalloc.start()
    try:
        for _ in range(5000):  # refused, they leave nothing behind
            with pytest.raises(Overloaded):
                place.conn.rpc_nowait().aio_note_when_open(gate.key, -1, bytes(BLOCK))
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()
    gate.open()
    await until(lambda: len(gate.notes) == accepted, 30)
    assert gate.notes == list(range(accepted))
    await place.settled()


@pytest.mark.site(worker={"workers": 1})
async def test_awaited_they_wait(place: Place, gate: Gate) -> None:
    sent = 0

    async def post_on() -> None:
        nonlocal sent
        for number in range(20_000):
            await place.conn.rpc_nowait().aio_note_when_open(gate.key, number)
            sent += 1

    task = asyncio.create_task(post_on())
    before = -1
    while before != sent:  # until it stands still
        before = sent
        await asyncio.sleep(0.2)
    assert not task.done()
    assert sent < 20_000
    gate.open()
    await asyncio.wait_for(task, 30)
    await until(lambda: len(gate.notes) == 20_000, 30)
    assert gate.notes == list(range(20_000))
    await place.settled()


@pytest.mark.site(worker={"workers": 1})
async def test_chunks_too(place: Place, gate: Gate) -> None:
    stream = place.conn.stream_nowait(serde="json").hold_async
    with pytest.raises(Overloaded):
        for _ in range(1_000_000):
            stream(gate.key)
    gate.open()
    await send_again(place, stream, gate)


async def send_again(place: Place, stream: Any, gate: Gate) -> None:
    async def send() -> None:
        while True:
            try:
                await stream(gate.key)
                return
            except Overloaded:
                await asyncio.sleep(0.01)

    await asyncio.wait_for(send(), 20)
    await until(lambda: not place.worker.stats()["running"], 20)


async def test_dropped_and_awaited_ones_keep_their_order(place: Place, gate: Gate) -> None:
    post = place.conn.rpc_nowait().note
    for number in range(500):
        posted = post(gate.key, number)
        if number % 3 == 0:
            await posted
    await until(lambda: len(gate.notes) == 500)
    if place.topology == "service":  # one way, and `def` on several threads: only begun in order
        assert sorted(gate.notes) == list(range(500))

"""Streams from asynchronous generators: closed in every case, and never far ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from gates import Gate, gate_of
from places import Place, until

from daffi import callback
from daffi.exceptions import Disconnected


@callback
async def aio_take(item: list[Any]) -> None:
    """Take one item, at the gate's pace."""
    key, number = item
    gate = gate_of(key)
    gate.notes.append(number)
    await gate.wait_here()


@callback
async def aio_refuse_third(item: list[Any]) -> None:
    """Fail at number 3."""
    if item[1] == 3:
        raise ValueError("three")


class Source:
    """Items, and what becomes of their generator."""

    def __init__(self, key: int, count: int = 1_000_000) -> None:
        self.key, self.count = key, count
        self.made = 0
        self.closed = 0

    async def items(self) -> AsyncIterator[list[int]]:
        try:
            for number in range(self.count):
                self.made += 1
                yield [self.key, number]
        finally:
            await asyncio.sleep(0)
            self.closed += 1


async def test_all_items_in_order(place: Place, gate: Gate) -> None:
    gate.open()
    source = Source(gate.key, 300)
    await place.conn.stream(serde="json").aio_take(source.items())
    assert gate.notes == list(range(300))
    assert (source.made, source.closed) == (300, 1)
    await place.settled()


async def test_closed_when_the_callback_fails(place: Place, gate: Gate) -> None:
    source = Source(gate.key)
    with pytest.raises(ValueError, match="three"):
        await place.conn.stream(serde="json").aio_refuse_third(source.items())
    assert source.closed == 1
    assert source.made == 4
    await place.settled()


async def test_closed_when_the_worker_goes(gate: Gate) -> None:
    async with Place("router") as place:
        source = Source(gate.key)
        stream = asyncio.create_task(place.conn.stream(serde="json").aio_take(source.items()))
        await until(lambda: gate.notes)
        place.worker._engine.abandon()
        with pytest.raises(Disconnected):
            await asyncio.wait_for(stream, 10)
        assert source.closed == 1


async def test_closed_when_it_raises_itself(place: Place, gate: Gate) -> None:
    closed = []

    async def items() -> AsyncIterator[list[int]]:
        try:
            yield [gate.key, 0]
            raise KeyError("mine")
        finally:
            closed.append(True)

    gate.open()
    with pytest.raises(KeyError, match="mine"):
        await place.conn.stream(serde="json").aio_take(items())
    assert closed == [True]
    await place.settled()


@pytest.mark.parametrize("acknowledged", [True, False])
async def test_a_slow_worker_holds_the_generator(
    place: Place, gate: Gate, acknowledged: bool
) -> None:
    source = Source(gate.key, 20_000 if not acknowledged else 200)
    style = place.conn.stream if acknowledged else place.conn.stream_nowait
    stream = asyncio.ensure_future(style(serde="json").aio_take(source.items()))
    before = -1
    while before != source.made or not gate.notes:
        before = source.made
        await asyncio.sleep(0.1)
    assert source.made < (2 if acknowledged else 5_000)
    gate.open()
    await asyncio.wait_for(stream, 30)
    await until(lambda: len(gate.notes) == source.count, 20)
    assert gate.notes == list(range(source.count))
    await place.settled()


async def test_what_nobody_awaits_is_sent_in_the_background(place: Place, gate: Gate) -> None:
    gate.open()
    source = Source(gate.key, 50)
    place.conn.stream_nowait(serde="json").aio_take(source.items())
    await until(lambda: gate.notes == list(range(50)) and source.closed == 1)
    await place.settled()


async def test_generators_that_block_will_do(place: Place, gate: Gate) -> None:
    gate.open()
    closed = []

    def items() -> Any:
        try:
            for number in range(1000):
                yield [gate.key, number]
        finally:
            closed.append(True)

    with pytest.raises(ValueError, match="three"):
        await place.conn.stream(serde="json").aio_refuse_third(items())
    assert closed == [True]
    await place.conn.stream(serde="json").aio_take(items())
    assert closed == [True, True]

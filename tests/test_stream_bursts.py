"""Items of a stream that nobody waits for, and that have come before they can run."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from gates import Gate, gate_of
from sites import Site, blocking_only, over_tcp
from worlds import World

from daffi import callback, current_call
from daffi.dispatch import current_job

KINDS = pytest.mark.parametrize("kind", ["", "_async"])  # of the callback

variable: contextvars.ContextVar[str] = contextvars.ContextVar("burst", default="clean")
jobs: list[Any] = []  # of the items that `burst_take` has taken
arrived: list[Any] = []  # what `burst_opaque` got


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """A job that is kept keeps its node's mailbox."""
    yield
    jobs.clear()
    arrived.clear()


def _take(key: int, value: Any) -> None:
    if value == "bad":
        raise ValueError("a bad item")
    call = current_call()
    jobs.append(current_job(None))
    found = variable.get()
    variable.set("stained")
    gate_of(key).notes.append((value, found, call.function, call.caller, call.deadline is None))


@callback
def burst_take(item: dict[str, Any]) -> None:
    """Wait at the gate, then keep the item and what is known of its call."""
    gate = gate_of(item["key"])
    gate.enter()
    gate.wait()
    _take(**item)


@callback
async def burst_take_async(item: dict[str, Any]) -> None:
    """The same in a coroutine."""
    gate = gate_of(item["key"])
    gate.enter()
    await gate.wait_here()
    _take(**item)


@callback
def burst_opaque(item: Any) -> None:
    """Wait at the gate whose key came first, then keep the item."""
    if item and item[:1] == "#":
        gate = gate_of(int(item[1:]))
        gate.enter()
        gate.wait()
    else:
        arrived.append(item)


def items(gate: Gate, *values: Any) -> list[dict[str, Any]]:
    """What to stream to `burst_take`."""
    return [{"key": gate.key, "value": value} for value in values]


@KINDS
@pytest.mark.parametrize("serde", ["PICKLE", "JSON", "MSGPACK"])
async def test_each_runs_in_a_context_of_its_own(
    world: World, site: Site, gate: Gate, kind: str, serde: str
) -> None:
    name = f"burst_take{kind}"
    send = getattr(site.conn.stream_nowait(serde=serde), name)
    await world.call(send, items(gate, *range(100)))
    await world.until(lambda: gate.inside == 1)
    gate.open()
    await world.until(lambda: len(gate.notes) == 100)
    assert gate.notes == [(i, "clean", name, "caller", True) for i in range(100)]
    await site.settled()


@KINDS
async def test_one_that_raises_does_not_end_it(
    world: World, site: Site, gate: Gate, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="daffi")
    send = getattr(site.conn.stream_nowait(serde="JSON"), f"burst_take{kind}")
    await world.call(send, items(gate, 0, "bad", 1, 2, "bad", "bad", 3))
    await world.until(lambda: gate.inside == 1)
    gate.open()
    await world.until(lambda: len(gate.notes) == 4)
    assert [note[0] for note in gate.notes] == [0, 1, 2, 3]
    await site.settled()
    assert len([record for record in caplog.records if "raised" in record.getMessage()]) == 3
    counted = site.worker.stats()["functions"][f"burst_take{kind}"]
    assert (counted["calls"], counted["errors"]) == (7, 3)


@KINDS
async def test_a_call_that_came_first_runs_between_them(
    world: World, site: Site, gate: Gate, kind: str
) -> None:
    """However long the stream is, and though the worker has one thread."""
    send = getattr(site.conn.stream_nowait(serde="JSON"), f"burst_take{kind}")
    await world.call(send, items(gate, *range(50)))
    await world.until(lambda: gate.inside == 1)
    await world.call(site.conn.rpc_nowait().note, gate.key, "called")
    await world.until(lambda: site.worker.stats()["queued"] == 1)
    gate.open()
    await world.until(lambda: len(gate.notes) == 51)
    order = [note if note == "called" else note[0] for note in gate.notes]
    assert order == [0, "called", *range(1, 50)]
    await site.settled()


@over_tcp
async def test_kinds_of_items_may_change(world: World, site: Site, gate: Gate) -> None:
    chunks = [b"bytes", "text", b"", "", bytearray(b"array"), b"x" * 100_000, "y" * 100_000, b"end"]
    send = site.conn.stream_nowait().burst_opaque
    await world.call(send, [f"#{gate.key}", *chunks])
    await world.until(lambda: gate.inside == 1)
    gate.open()
    await world.until(lambda: len(arrived) == len(chunks))
    assert arrived == chunks
    kinds = [bytes if type(item) is bytearray else type(item) for item in chunks]
    assert [type(item) for item in arrived] == kinds
    await site.settled()


@blocking_only
async def test_those_that_came_together_share_a_job(world: World, site: Site, gate: Gate) -> None:
    await world.call(site.conn.stream_nowait(serde="JSON").burst_take, items(gate, *range(100)))
    await world.until(lambda: gate.inside == 1)
    gate.open()
    await world.until(lambda: len(gate.notes) == 100)
    assert len({id(job) for job in jobs}) < 50
    await site.settled()


def _offer(version: str) -> None:
    def burst_changes(item: dict[str, Any]) -> None:
        if item["value"] == 0:
            gate_of(item["key"]).enter()
            gate_of(item["key"]).wait()
        gate_of(item["key"]).notes.append((version, item["value"]))
        if item["value"] == 20:
            _offer("second")

    callback(burst_changes)


_offer("first")


@blocking_only
async def test_a_function_that_changes_meanwhile(world: World, site: Site, gate: Gate) -> None:
    _offer("first")
    await world.call(site.conn.stream_nowait(serde="JSON").burst_changes, items(gate, *range(50)))
    await world.until(lambda: gate.inside == 1)
    gate.open()
    await world.until(lambda: len(gate.notes) == 50)
    assert gate.notes == [("first" if i <= 20 else "second", i) for i in range(50)]
    await site.settled()


async def test_a_stop_meanwhile_lets_them_run(world: World, site: Site, gate: Gate) -> None:
    await world.call(site.conn.stream_nowait(serde="JSON").burst_take, items(gate, *range(50)))
    await world.until(lambda: gate.inside == 1)
    stopping = world.begin(site.worker.stop)
    gate.open()
    await stopping.result()
    assert [note[0] for note in gate.notes] == list(range(50))

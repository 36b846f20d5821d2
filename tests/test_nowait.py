"""Calls that nobody waits for: they return at once, run, and complain in the log."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from gates import Gate
from sites import Site, over_router
from worlds import World

from daffi import callback
from daffi.exceptions import TransmissionFailure


@callback
def nowait_fails(text: str) -> None:
    """Raise where nobody listens."""
    raise ValueError(text)


class Felt:
    """Once it has arrived, it notes how many calls its worker has under way when it goes."""

    worker: ClassVar[Any]
    seen: ClassVar[list[int]] = []

    def __init__(self) -> None:
        self.arrived = False

    def __del__(self) -> None:
        if self.arrived:
            self.seen.append(self.worker.stats()["running"])


@callback
def nowait_feels(felt: Felt) -> None:
    """Let it know that it has arrived."""
    felt.arrived = True


async def test_what_a_call_brought_is_gone_before_the_call_is_over(
    world: World, site: Site
) -> None:
    Felt.worker = site.worker
    Felt.seen.clear()
    await world.call(site.conn.rpc_nowait().nowait_feels, Felt())
    await world.until(lambda: len(Felt.seen) == 1)
    await world.call(site.conn.rpc(timeout=5).nowait_feels, Felt())
    await world.until(lambda: len(Felt.seen) == 2)
    assert Felt.seen == [1, 1]


async def test_returns_at_once_and_runs(world: World, site: Site, gate: Gate) -> None:
    before = time.monotonic()
    assert await world.call(site.conn.rpc_nowait().hold, gate.key) is None
    assert await world.call(site.conn.cast_nowait().hold, gate.key) is None
    assert time.monotonic() - before < 1
    await world.until(lambda: gate.inside == 1)
    assert gate.left == 0
    gate.open()
    await world.until(lambda: gate.left == 2)
    await site.settled()


async def test_timeout_is_accepted_and_ignored(world: World, site: Site, gate: Gate) -> None:
    await world.call(site.conn.rpc_nowait(timeout=0.05).hold, gate.key)
    await world.call(site.conn.cast_nowait(timeout=0.05).hold, gate.key)
    await world.call(site.conn.stream_nowait(timeout=0.05).nothing, [b"1"])
    await world.sleep(0.2)
    gate.open()
    await world.until(lambda: gate.left == 2)


def warned(caplog: pytest.LogCaptureFixture, *words: str) -> bool:
    """Whether a WARNING of ours has all the words."""
    return any(
        record.levelno == logging.WARNING
        and record.name.startswith("daffi")
        and all(word in record.getMessage() for word in words)
        for record in caplog.records
    )


async def test_unknown_function_is_a_warning_at_the_caller(
    world: World, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="daffi")
    await world.call(site.conn.rpc_nowait().missing_one, 1)
    await world.until(lambda: warned(caplog, "missing_one"))
    await world.call(site.conn.cast_nowait().missing_two, 1)
    await world.until(lambda: warned(caplog, "missing_two"))
    await world.call(site.conn.stream_nowait().missing_three, [b"1"])
    await world.until(lambda: warned(caplog, "missing_three"))
    await site.settled()


async def test_a_stream_to_nobody_stops_its_generator(
    world: World, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="daffi")
    taken: list[int] = []
    closed: list[bool] = []

    def items() -> Iterator[bytes]:
        try:
            for value in itertools.count():
                taken.append(value)
                yield b"x"
        finally:
            closed.append(True)

    send = site.conn.stream_nowait().missing_four
    assert await world.begin(send, items()).result(within=5) is None
    assert closed and len(taken) <= 1000  # what a window may hold
    assert warned(caplog, "missing_four")

    def fails() -> Iterator[bytes]:
        raise TransmissionFailure("the generator's own")
        yield b"x"

    with pytest.raises(TransmissionFailure, match="own"):
        await world.call(site.conn.stream_nowait().nothing, fails())
    await site.settled()


async def test_unknown_receiver_is_a_warning_at_the_caller(
    world: World, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="daffi")
    await world.call(site.conn.rpc_nowait(receiver="ghost-1").add, 1)
    await world.until(lambda: warned(caplog, "ghost-1"))
    await world.call(site.conn.cast_nowait(receiver=[site.worker_name, "ghost-2"]).add, 1)
    await world.until(lambda: warned(caplog, "ghost-2"))


@over_router
@pytest.mark.site(worker={"max_message": 100_000})
async def test_one_too_large_for_its_worker_is_a_warning_there(
    world: World, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="daffi")
    await world.call(site.conn.rpc_nowait(serde="OPAQUE").length, bytes(200_000))
    words = ("length", "caller", "200000 bytes", "100000", f'"{site.worker_name}"')
    await world.until(lambda: warned(caplog, *words))
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3


async def test_a_callback_that_raises_harms_nobody(world: World, site: Site) -> None:
    for _ in range(5):
        await world.call(site.conn.rpc_nowait().nowait_fails, "unheard")
    assert await world.call(site.conn.rpc(timeout=10).add, 1, 2) == 3
    stats = site.worker.stats()
    assert stats["functions"]["nowait_fails"] == {"calls": 5, "errors": 5}
    await site.settled()


async def test_cast_nowait_reaches_those_who_are_named(
    world: World, site: Site, gate: Gate
) -> None:
    gate.open()
    await world.call(site.conn.cast_nowait(receiver=site.worker_name).hold, gate.key)
    await world.call(site.conn.cast_nowait(receiver=[site.worker_name]).hold, gate.key)
    await world.until(lambda: gate.left == 2)

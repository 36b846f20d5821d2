"""Calls one after another, read by the threads that wait, and what may disturb them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from gates import Gate, new_gate
from sites import Site, blocking_only, over_tcp
from worlds import World

from daffi import callback
from daffi.exceptions import CallTimeout, Disconnected

# Threads read; what an event loop awaits is read by the runtime.
pytestmark = blocking_only


@callback
def leading_add(left: int, right: int) -> int:
    """Their sum."""
    return left + right


@callback
def leading_nap(seconds: float) -> float:
    """Sleep."""
    time.sleep(seconds)
    return seconds


def is_held(gate: Gate) -> bool:
    """Whether a call is in its callback."""
    return gate.inside == 1


def one_after_another(conn: Any, count: int, timeout: float = 10) -> Callable[[], None]:
    """So many calls, each checked."""

    def work() -> None:
        for value in range(count):
            assert conn.rpc(timeout=timeout).leading_add(value, 1) == value + 1

    return work


async def test_one_caller_then_many_then_one(world: World, site: Site) -> None:
    work = one_after_another(site.conn, 300)
    for threads in (1, 4, 1, 2, 1):
        await world.together([work] * threads)
    await site.settled()


async def test_a_caller_joins_while_another_reads(world: World, site: Site) -> None:
    def long() -> None:
        for _ in range(10):
            one_after_another(site.conn, 10)()
            assert site.conn.rpc(timeout=10).leading_nap(0.05) == 0.05

    await world.together([long, one_after_another(site.conn, 1000)])
    await site.settled()


async def test_the_time_is_kept_while_reading(world: World, site: Site) -> None:
    def work() -> None:
        for _ in range(5):
            one_after_another(site.conn, 10)()
            before = time.monotonic()
            with pytest.raises(CallTimeout):
                site.conn.rpc(timeout=0.05).leading_nap(0.1)
            assert 0.04 < time.monotonic() - before < 2
            # The late answer goes to nobody.
            one_after_another(site.conn, 10)()

    await world.together([work])
    await site.settled()


@over_tcp
async def test_a_cut_connection_wakes_who_reads(world: World, site: Site, proxies: Any) -> None:
    proxy = proxies(site.server.port)
    node = world.Client("proxied", port=proxy.port, expose=())
    site.nodes["proxied"] = node
    conn = await world.call(node.connect)
    for _ in range(3):
        await world.together([one_after_another(conn, 50)])
        gate = new_gate()
        waits = world.begin(partial(conn.rpc(timeout=20).hold, gate.key))
        await world.until(partial(is_held, gate), within=5)
        proxy.reset()
        before = time.monotonic()
        with pytest.raises(Disconnected):
            await waits.result(within=3)
        assert time.monotonic() - before < 3
        gate.open()

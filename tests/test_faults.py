"""A line that is slow, cut into bytes, half closed, or silent, by a proxy in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from gates import Gate, gate_of, new_gate
from sites import Site, engine_alone, over_router, over_service, over_tcp_and_tls
from worlds import World

from daffi import callback
from daffi.exceptions import Disconnected

pytestmark = over_tcp_and_tls


async def join_by(site: Site, proxy: Any, name: str = "proxied", **options: Any) -> Any:
    """A client on the other side of the proxy; its connection."""
    options.setdefault("expose", ())
    node = site.world.Client(name, **{**site.address, "port": proxy.port}, **options)
    site.nodes[name] = node
    return await site.world.call(node.connect)


async def test_a_slow_line_is_a_pipe(world: World, site: Site, proxies: Any) -> None:
    proxy = proxies(site.server.port)
    conn = await join_by(site, proxy)
    proxy.latency = 0.1
    before = time.monotonic()
    answers = await world.together([partial(conn.rpc(timeout=20).echo, i) for i in range(50)])
    assert answers == list(range(50))
    assert 0.19 < time.monotonic() - before < 3  # they travel together, not one by one
    await site.settled()


async def test_one_byte_at_a_time(world: World, site: Site, proxies: Any) -> None:
    proxy = proxies(site.server.port)
    proxy.slice = 1
    conn = await join_by(site, proxy)
    for serde in ("PICKLE", "JSON", "MSGPACK", "OPAQUE"):
        assert await world.call(conn.rpc(timeout=20, serde=serde).echo, "text") == "text"
    proxy.slice = 7
    data = bytes(range(256)) * 300
    assert await world.call(conn.rpc(timeout=30).echo, data) == data
    await world.call(conn.stream(timeout=20).nothing, [b"x"] * 10)
    with pytest.raises(TypeError):
        await world.call(conn.rpc(timeout=20).add)
    await site.settled()


@over_router
async def test_a_worker_behind_such_a_line(world: World, site: Site, proxies: Any) -> None:
    proxy = proxies(site.server.port)
    proxy.slice = 1
    await join_by(site, proxy, "remote", expose=["echo"])
    remote = site.conn.rpc(timeout=20, receiver="remote")
    assert await world.call(remote.echo, {"k": [1, 2]}) == {"k": [1, 2]}
    proxy.slice = 5_000
    data = b"x" * 3_000_000
    assert await world.call(remote.echo, data) == data
    await site.settled()


async def test_a_reset_in_the_middle_of_a_large_message(
    world: World, site: Site, proxies: Any
) -> None:
    proxy = proxies(site.server.port)
    conn = await join_by(site, proxy)
    proxy.slice = 2_000
    running = world.begin(conn.rpc(timeout=30).length, b"x" * 50_000_000)
    await world.until(lambda: site.nodes["proxied"].stats()["bytes_sent"] > 100_000)
    await world.thread(proxy.reset)
    with pytest.raises(Disconnected):
        await running.result(within=5)
    proxy.slice = 0
    assert await world.call(conn.rpc(timeout=10).add, 1, 2) == 3
    await site.settled()


async def test_half_closed_is_closed(world: World, site: Site, proxies: Any, gate: Gate) -> None:
    proxy = proxies(site.server.port)
    conn = await join_by(site, proxy)
    running = world.begin(conn.rpc(timeout=30).hold_async, gate.key)
    await world.until(lambda: gate.inside == 1)
    before = time.monotonic()
    await world.thread(proxy.half_close)
    with pytest.raises(Disconnected) as caught:
        await running.result(within=8)
    assert caught.value.sent is None and time.monotonic() - before < 2
    assert await world.call(conn.rpc(timeout=10).add, 1, 2) == 3
    await world.until(lambda: gate.cancelled == 1)
    await site.settled()


@engine_alone
@over_router
async def test_a_black_hole_is_noticed(world: World, site: Site, proxies: Any, gate: Gate) -> None:
    """Nothing passes any more, nobody says so: both ends find out by themselves."""
    proxy = proxies(site.server.port)
    conn = await join_by(site, proxy)
    running = world.begin(conn.rpc(timeout=60).hold_async, gate.key)
    await world.until(lambda: gate.inside == 1)
    before = time.monotonic()
    proxy.hole = True
    with pytest.raises(Disconnected) as caught:
        await running.result(within=12)
    assert caught.value.sent is None
    assert 3 < time.monotonic() - before < 10
    await world.until(lambda: gate.cancelled == 1, within=5)  # the server has noticed too
    proxy.hole = False
    assert await world.call(conn.rpc(timeout=15).add, 1, 2) == 3
    await site.settled()


async def test_one_who_does_not_read_harms_nobody(world: World, site: Site, proxies: Any) -> None:
    proxy = proxies(site.server.port)
    lazy = await join_by(site, proxy, "lazy")
    proxy.latency = 30.0  # its answers do not get through
    asked = [world.begin(lazy.rpc(timeout=1.5).echo, b"x" * 1_000_000) for _ in range(20)]
    for _ in range(20):
        before = time.monotonic()
        assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3
        assert time.monotonic() - before < 1
    for one in asked:
        with pytest.raises((TimeoutError, ConnectionError)):
            await one.result(within=10)
    other = new_gate()
    other.open()
    assert await world.call(site.conn.rpc(timeout=5).hold, other.key, "free") == "free"
    # Its stop would wait for answers until the silence is long enough.
    proxy.refuse = True
    await world.thread(proxy.reset)


@over_service
async def test_items_that_grow_wait_for_a_slow_line(world: World, site: Site, proxies: Any) -> None:
    """Many small ones may be far ahead; large ones that come then are too much for the line."""
    proxy = proxies(site.server.port)
    conn = await join_by(site, proxy)
    made = 0

    def items() -> Iterator[bytes]:
        nonlocal made
        for made in range(5_000):
            if made == 3_000:
                proxy.latency = 0.2
            yield bytes(60_000 if made >= 3_000 else 10)

    running = world.begin(conn.stream_nowait(serde="PICKLE").nothing, items())
    await world.until(lambda: made > 3_000)
    last = -1
    while last != made:  # the producer comes to rest
        last = made
        await world.sleep(0.3)
    assert not running.done() and made < 4_000
    assert site.nodes["proxied"].stats()["bytes_queued"] < 20_000_000
    proxy.latency = 0.0
    await running.result(within=30)
    await site.settled()
    assert proxy.connections == 1


@callback
def fault_take(item: dict[str, int]) -> None:
    """Wait at the gate, then keep the item."""
    gate = gate_of(item["key"])
    gate.enter()
    gate.wait()
    gate.notes.append(item["value"])


async def test_items_of_a_caller_that_was_lost_do_not_run(
    world: World, site: Site, gate: Gate, proxies: Any
) -> None:
    """Also those that have come before it was."""
    proxy = proxies(site.server.port)
    conn = await join_by(site, proxy, reconnect=False)
    items = [{"key": gate.key, "value": value} for value in range(50)]
    await world.call(conn.stream_nowait(serde="JSON").fault_take, items)
    await world.until(lambda: gate.inside == 1)
    await world.thread(proxy.reset)
    await world.until(lambda: site.worker.stats()["streams"] == 0)
    gate.open()
    assert await world.call(site.conn.rpc(timeout=5).echo, 1) == 1  # on the worker's one thread
    assert gate.notes == [0] and gate.entered == 1
    await site.settled()

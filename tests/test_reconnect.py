"""Connections that break: what calls get, who comes back by itself, and who must not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from gates import Gate
from programs import Programs
from sites import Site, over_router, over_service, over_tcp
from worlds import World

from daffi.exceptions import Disconnected, Evicted, InitializationError

Event = dict[str, str]


async def lose_the_server(world: World, site: Site) -> None:
    """Stop it, and wait until its caller knows: a call until then may have been sent."""
    await world.call(site.server.stop)
    await world.until(lambda: site.caller.stats()["connections"] == 0)


async def test_a_call_waits_for_the_server_to_come_back(world: World, site: Site) -> None:
    port = site.server.port
    await lose_the_server(world, site)
    waiting = world.begin(site.conn.rpc(timeout=15).add, 1, 2)
    await world.sleep(0.3)
    assert not waiting.done()
    await site.start_server(port)
    if site.topology == "router":
        # The worker comes back by itself, with its functions; the call may be earlier than it.
        await world.call(site.conn.wait_for_function, "add", timeout=10)
        try:
            assert await waiting.result() == 3
        except LookupError:
            assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3
    else:
        assert await waiting.result() == 3
    await site.settled()


async def test_a_call_without_a_server_fails_in_its_time(world: World, site: Site) -> None:
    await lose_the_server(world, site)
    for style in (site.conn.rpc, site.conn.cast, site.conn.stream):
        before = time.monotonic()
        with pytest.raises(Disconnected) as caught:
            await world.call(style(timeout=0.4).echo, b"x")
        assert caught.value.sent is False
        assert isinstance(caught.value, ConnectionError)
        assert 0.3 <= time.monotonic() - before < 2
    assert site.caller.stats()["calls_in_flight"] == 0


@pytest.mark.site(caller={"reconnect": False})
async def test_without_reconnection_it_fails_at_once(world: World, site: Site) -> None:
    await world.call(site.server.stop)
    with pytest.raises(Disconnected):
        await world.call(site.caller.join)
    before = time.monotonic()
    with pytest.raises(Disconnected) as caught:
        await world.call(site.conn.rpc(timeout=10).add, 1, 2)
    assert caught.value.sent is False
    assert time.monotonic() - before < 1


@over_tcp
async def test_calls_under_way_end_at_once_when_it_breaks(
    world: World, site: Site, gate: Gate, proxies: Any
) -> None:
    proxy = proxies(site.server.port)
    node = world.Client("proxied", port=proxy.port, expose=())
    site.nodes["proxied"] = node
    conn = await world.call(node.connect)
    running = [world.begin(conn.rpc(timeout=30).hold_async, gate.key) for _ in range(5)]
    await world.until(lambda: gate.inside == 1)
    broken = time.monotonic()
    await world.thread(proxy.reset)
    for one in running:
        with pytest.raises(Disconnected) as caught:
            await one.result(within=5)
        assert caught.value.sent is None
    assert time.monotonic() - broken < 1
    await world.until(lambda: gate.cancelled == 1)
    assert await world.call(conn.rpc(timeout=10).add, 1, 2) == 3  # it came back
    await site.settled()
    assert gate.entered == 1  # at most once: nothing was sent again


@over_tcp
@over_router
async def test_a_worker_that_comes_back_offers_again(
    world: World, site: Site, proxies: Any
) -> None:
    proxy = proxies(site.server.port)
    node = world.Client("remote", port=proxy.port, workers=1, expose=["add", "thread_id"])
    site.nodes["remote"] = node
    await world.call(node.connect)
    heard: list[Event] = []
    site.caller.add_event_handler(heard.append)
    await world.until(lambda: {"type": "connected", "member": "remote"} in heard)
    pinned = site.conn.rpc(timeout=10, receiver="remote")
    thread = await world.call(pinned.thread_id)
    for _ in range(3):
        heard.clear()
        await world.thread(proxy.reset)
        await world.until(
            lambda: (
                [event["type"] for event in heard if event["member"] == "remote"]
                == ["disconnected", "connected"]
            ),
            within=10,
        )
        assert await world.call(pinned.add, 1, 2) == 3
    assert await world.call(pinned.thread_id) == thread  # still the same worker thread
    members = {member.name: member for member in await world.call(site.conn.members)}
    assert set(members["remote"].functions) == {"add", "thread_id"}


@over_tcp
@over_service
async def test_it_keeps_trying_with_backoff(world: World, site: Site, proxies: Any) -> None:
    proxy = proxies(site.server.port)
    node = world.Client("patient", port=proxy.port, expose=())
    site.nodes["patient"] = node
    conn = await world.call(node.connect)
    proxy.refuse = True
    await world.thread(proxy.reset)
    await world.sleep(1.5)
    tried = proxy.connections - 1
    assert 2 <= tried <= 12  # 0.1 s, doubling: neither one try nor a busy loop
    proxy.refuse = False
    assert await world.call(conn.rpc(timeout=10).add, 1, 2) == 3


@over_tcp
async def test_the_server_leaving_and_coming_back_is_heard(world: World, site: Site) -> None:
    heard: list[Event] = []
    site.caller.add_event_handler(heard.append)
    await world.until(lambda: {"type": "connected", "member": "server"} in heard)
    heard.clear()
    port = site.server.port
    await world.call(site.server.stop)
    await site.start_server(port)
    wanted = [{"type": kind, "member": "server"} for kind in ("disconnected", "connected")]
    await world.until(
        lambda: [event for event in heard if event["member"] == "server"] == wanted, within=10
    )


async def test_connect_waits_for_a_server(world: World, short_path: Path) -> None:
    path = short_path / "s"
    client = world.Client("early", unix_sock_path=path, expose=())
    connecting = world.begin(client.connect, wait=10)
    await world.sleep(0.3)
    assert not connecting.done()
    service = world.Service("server", unix_sock_path=path)
    await world.call(service.start)
    conn = await connecting.result()
    assert await world.call(conn.rpc(timeout=5).add, 1, 2) == 3
    await world.call(client.stop)
    await world.call(service.stop)


async def test_connect_gives_up(world: World, short_path: Path) -> None:
    for wait in (None, 0.5):
        client = world.Client("lost", unix_sock_path=short_path / "s", expose=())
        before = time.monotonic()
        with pytest.raises(InitializationError, match=str(short_path)):
            await world.call(client.connect, wait=wait)
        assert (wait or 0) * 0.9 <= time.monotonic() - before < 2
        await world.call(client.stop)


async def test_the_newest_takes_the_name(world: World, site: Site) -> None:
    old = await site.join("twin")
    first = site.nodes["twin"]
    joining = world.begin(first.join)
    new = await site.join("twin")
    site.nodes["first"] = first
    with pytest.raises(Evicted) as caught:
        await joining.result(within=5)
    assert isinstance(caught.value, Disconnected)
    with pytest.raises(Evicted, match="twin"):
        await world.call(old.rpc(timeout=5).add, 1, 2)
    assert await world.call(new.rpc(timeout=5).add, 1, 2) == 3
    await world.sleep(0.5)  # long enough for the old one to come back, were it to try
    assert await world.call(new.rpc(timeout=5).add, 1, 2) == 3
    names = [member.name for member in await world.call(site.conn.members)]
    assert names.count("twin") == 1


@over_router
async def test_calls_under_way_at_one_who_is_evicted(world: World, site: Site, gate: Gate) -> None:
    await site.join("twin", expose=None)
    old = site.nodes["twin"]
    running = world.begin(site.conn.rpc(timeout=20, receiver="twin").hold_async, gate.key)
    await world.until(lambda: gate.inside == 1)
    await site.join("twin", expose=None)
    with pytest.raises(Disconnected):
        await running.result(within=5)
    await world.until(lambda: gate.cancelled == 1)
    assert await world.call(site.conn.rpc(timeout=5, receiver="twin").add, 1, 2) == 3
    await site.settled(old)
    await world.call(old.stop)


async def test_a_thousand_calls_and_the_router_is_killed(world: World, programs: Programs) -> None:
    router, url = programs.serve("router")
    for name in ("w1", "w2"):
        programs.ready("serve.py", "worker", "--url", url, "--name", name, "--workers", "8")
    client = world.Client("caller", url=url, expose=())
    conn = await world.call(client.connect)
    await world.call(conn.wait_for_members, "w1", "w2", timeout=5)
    running = [world.begin(conn.rpc(timeout=60).tell_nap_async, 30) for _ in range(1000)]
    await world.until(lambda: client.stats()["calls_in_flight"] == 1000, within=10)
    killed = await world.thread(router.kill)
    for one in running:
        with pytest.raises(Disconnected):
            await one.result(within=5)
    assert time.monotonic() - killed < 1
    assert client.stats()["calls_in_flight"] == 0
    programs.ready("serve.py", "router", "--url", url)
    started = time.monotonic()
    await world.call(conn.wait_for_members, "w1", "w2", "caller", timeout=10)
    assert time.monotonic() - started < 5
    assert await world.call(conn.rpc(timeout=10).add_async, 1, 2) == 3
    await world.call(client.stop)

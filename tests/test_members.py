"""Who is here: lists, events, waiting for others, what each offers, and the gauges."""

from __future__ import annotations

import itertools
import logging
import time
from functools import partial
from typing import Any

import pytest
from gates import Gate
from loops import pause
from sites import Site, awaited_only, over_router, over_tcp
from worlds import World

from daffi import alias, callback

Event = dict[str, str]


def connected(name: str) -> Event:
    return {"type": "connected", "member": name}


def disconnected(name: str) -> Event:
    return {"type": "disconnected", "member": name}


async def test_members(world: World, site: Site) -> None:
    await site.join("narrow", expose=["add"])
    for ask in (site.conn.members, site.caller.members, site.server.members):
        found = {member.name: member for member in await world.call(ask)}
        assert {"caller", "narrow", site.worker_name} <= set(found)
        assert "add" in found[site.worker_name].functions
        assert "hold" in found[site.worker_name].functions
        # A Service is the only one with callbacks: what its clients have is not asked for.
        offered = ["add"] if site.topology == "router" else []
        assert list(found["narrow"].functions) == offered
        assert list(found["caller"].functions) == []
    await world.call(site.nodes["narrow"].stop)
    assert "narrow" not in {member.name for member in await world.call(site.conn.members)}


async def test_a_handler_hears_who_is_there_the_server_included(world: World, site: Site) -> None:
    heard: list[Event] = []
    node = world.Client("listener", **site.address, expose=())
    node.add_event_handler(heard.append)
    site.nodes["listener"] = node
    await world.call(node.connect)
    there = {"server", "caller", site.worker_name}
    await world.until(lambda: {event["member"] for event in heard} >= there)
    assert all(event["type"] == "connected" for event in heard)
    assert len(heard) == len({event["member"] for event in heard})


async def test_a_handler_added_later_hears_the_same(world: World, site: Site) -> None:
    heard: list[Event] = []
    site.caller.add_event_handler(heard.append)
    there = {"server", site.worker_name}
    await world.until(lambda: {event["member"] for event in heard} >= there)


def in_order(events: list[Event], wanted: list[Event]) -> bool:
    """Whether those that are wanted came, in that order."""
    return [event for event in events if event in wanted] == wanted


async def test_events_in_order(world: World, site: Site) -> None:
    heard: list[Event] = []
    server: list[Event] = []
    site.caller.add_event_handler(heard.append)
    site.server.add_event_handler(server.append)
    for name in ("x", "y"):
        await site.join(name)
    await world.call(site.nodes["x"].stop)
    # It says goodbye and waits for nobody: another may be quicker to be heard.
    await world.until(partial(server.__contains__, disconnected("x")))
    await site.join("z")
    wanted = [connected("x"), connected("y"), disconnected("x"), connected("z")]
    for events in (heard, server):
        await world.until(partial(in_order, events, wanted))


async def test_every_kind_of_node_and_every_kind_of_handler(world: World, site: Site) -> None:
    for node in {site.server, site.worker, site.caller}:
        order: list[tuple[str, Any]] = []

        def keep(kind: str, what: Any, order: list[Any] = order) -> None:
            order.append((kind, what))

        added, removed = partial(keep, "added"), partial(keep, "removed")
        node.add_event_handler(partial(keep, "first"))
        assert node.on_member_added(added) is added  # so both are of use as decorators
        assert node.on_member_removed(removed) is removed
        name = f"visitor-of-{node.app_name}"
        await site.join(name)
        await world.until(partial(order.__contains__, ("added", name)))
        await world.call(site.nodes[name].stop)
        await world.until(partial(order.__contains__, ("removed", name)))
        about = (name, connected(name), disconnected(name))
        mine = [kind for kind, what in order if what in about]
        assert mine == ["first", "added", "first", "removed"]


async def test_a_handler_that_raises_is_logged_and_harms_nothing(
    world: World, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="daffi")
    heard: list[Event] = []

    def broken(event: Event) -> None:
        raise RuntimeError(f"handler and {event['member']}")

    site.caller.add_event_handler(broken)
    site.caller.add_event_handler(heard.append)
    await site.join("newcomer")
    await world.until(lambda: connected("newcomer") in heard)
    logged = [record for record in caplog.records if record.name.startswith("daffi")]
    assert any(one.exc_info and "newcomer" in str(one.exc_info[1]) for one in logged)
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3


@awaited_only
async def test_a_handler_may_be_a_coroutine(world: World, site: Site) -> None:
    """They run one at a time and in order all the same, and one that raises harms nothing."""
    heard: list[tuple[str, Event]] = []

    async def slow(event: Event) -> None:
        heard.append(("begins", event))
        await pause(0.05)
        heard.append(("ends", event))

    async def broken(event: Event) -> None:
        await pause(0)
        raise RuntimeError("meant to be")

    site.caller.add_event_handler(slow)
    site.caller.add_event_handler(broken)
    site.caller.add_event_handler(lambda event: heard.append(("after", event)))
    await site.join("visitor")
    await world.call(site.nodes["visitor"].stop)
    await world.until(lambda: ("after", disconnected("visitor")) in heard)
    assert in_order(
        [event for kind, event in heard if kind == "after"],
        [connected("visitor"), disconnected("visitor")],
    )
    for first in range(0, len(heard), 3):
        (_, event), *_ = turn = heard[first : first + 3]
        assert turn == [("begins", event), ("ends", event), ("after", event)]
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3


async def test_losing_the_connection_is_the_server_leaving(world: World, site: Site) -> None:
    heard: list[Event] = []
    site.caller.add_event_handler(heard.append)
    await world.until(lambda: connected("server") in heard)
    await world.call(site.server.stop)
    await world.until(lambda: disconnected("server") in heard)


@over_router
async def test_wait_for_members_is_pushed(world: World, site: Site) -> None:
    await world.call(site.conn.wait_for_members, "worker", timeout=5)
    waiting = world.begin(site.conn.wait_for_members, "p", "q", timeout=20, interval=60)
    await site.join("p")
    await world.sleep(0.1)
    assert not waiting.done()
    before = time.monotonic()
    await site.join("q")
    assert await waiting.result(within=5) is None
    assert time.monotonic() - before < 5  # asked once in a minute it would be later


async def test_wait_for_members_gives_up(world: World, site: Site) -> None:
    before = time.monotonic()
    with pytest.raises(TimeoutError, match="nobody"):
        await world.call(site.conn.wait_for_members, "nobody", timeout=0.2)
    assert 0.19 <= time.monotonic() - before < 2
    await site.settled()


@callback
def members_narrow() -> str:
    """Offered by one node only."""
    return "narrow"


_numbers = itertools.count(1)


def unused_name(stem: str) -> str:
    """A name that no test has registered: registration is for the whole process, and stays."""
    return f"members_{stem}_{next(_numbers)}"


async def test_wait_for_function(world: World, site: Site) -> None:
    name = unused_name("later")
    await world.call(site.conn.wait_for_function, "add", timeout=5)
    with pytest.raises(TimeoutError, match=name):
        await world.call(site.conn.wait_for_function, name, timeout=0.2)
    waiting = world.begin(site.conn.wait_for_function, name, timeout=20)

    @callback
    @alias(name)
    def later() -> str:
        return "announced"

    await waiting.result(within=5)
    assert await world.call(getattr(site.conn.rpc(timeout=5), name)) == "announced"


async def test_a_function_registered_later_is_announced_at_once(world: World, site: Site) -> None:
    new, again = unused_name("new"), unused_name("again")

    @callback
    @alias(new)
    def fresh() -> int:
        return 1

    await world.call(site.conn.wait_for_function, new, timeout=5)
    assert await world.call(getattr(site.conn.rpc(timeout=5), new)) == 1

    def redefine() -> Any:
        @alias(again)
        def defined() -> str:
            return "again"

        return defined

    callback(redefine())
    callback(redefine())  # the same definition, run again
    await world.call(site.conn.wait_for_function, again, timeout=5)
    assert await world.call(getattr(site.conn.rpc(timeout=5), again)) == "again"


@over_router
@over_tcp
async def test_expose(world: World, site: Site) -> None:
    await site.join("by-name", expose=["add", "members_narrow"])
    await site.join("by-function", expose=[members_narrow])
    await site.join("none", expose=())
    found = {member.name: set(member.functions) for member in await world.call(site.conn.members)}
    assert found["by-name"] == {"add", "members_narrow"}
    assert found["by-function"] == {"members_narrow"}
    assert found["none"] == set()
    assert {"add", "members_narrow", "hold"} <= found["worker"]
    narrow = site.conn.rpc(timeout=5, receiver="by-function")
    assert await world.call(narrow.members_narrow) == "narrow"
    with pytest.raises(LookupError):
        await world.call(narrow.add, 1, 2)


async def test_stats(world: World, site: Site, gate: Gate) -> None:
    names = {
        "connections", "members", "calls_in_flight", "running", "queued", "streams",
        "transfers", "bytes_sent", "bytes_received", "bytes_queued", "calls", "errors",
        "functions",
    }  # fmt: skip
    for node in site.nodes.values():
        assert names <= set(node.stats())
    before = site.worker.stats()["functions"].get("add", {"calls": 0, "errors": 0})
    for _ in range(5):
        await world.call(site.conn.rpc(timeout=5).add, 1, 2)
    for _ in range(2):
        with pytest.raises(TypeError):
            await world.call(site.conn.rpc(timeout=5).add)
    await site.settled()
    after = site.worker.stats()["functions"]["add"]
    assert after["calls"] - before["calls"] == 7 and after["errors"] - before["errors"] == 2
    assert site.caller.stats()["calls"] >= 7 and site.caller.stats()["errors"] >= 2
    clients = len(site.nodes) - 1
    assert site.server.stats()["connections"] == clients
    assert site.caller.stats()["connections"] == 1

    running = [world.begin(site.conn.rpc(timeout=20).hold, gate.key) for _ in range(3)]
    await world.until(lambda: site.worker.stats()["queued"] == 2)
    await world.until(lambda: site.worker.stats()["running"] == 1)
    assert site.caller.stats()["calls_in_flight"] == 3
    if site.topology == "router":
        assert site.server.stats()["calls_in_flight"] == 3
    told, own = await world.call(site.conn.server_stats), site.server.stats()
    assert told.keys() == own.keys() and told["by_member"].keys() == own["by_member"].keys()
    for name in ("members", "connections", "calls_in_flight", "queued", "running", "functions"):
        assert told[name] == own[name]
    worker = told["by_member"][site.worker.app_name]
    assert (worker["calls_in_flight"], worker["functions"]["hold"]["calls_in_flight"]) == (3, 3)
    gate.open()
    for one in running:
        await one.result()
    await site.settled()
    counted = (await world.call(site.conn.server_stats))["functions"]["add"]
    assert counted["calls"] >= 7 and counted["errors"] >= 2
    sent = site.caller.stats()["bytes_sent"]
    received = site.caller.stats()["bytes_received"]
    await world.call(site.conn.rpc(timeout=5).echo, b"x" * 100_000)
    assert site.caller.stats()["bytes_sent"] - sent > 100_000
    assert site.caller.stats()["bytes_received"] - received > 100_000
    await world.until(lambda: site.caller.stats()["bytes_queued"] == 0)

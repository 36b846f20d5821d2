"""Every world calls every other, in both directions: between processes, and in one process."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import mixing
import pytest
from gates import Gate
from hosts import Host
from loops import pause
from mixing import Hop
from programs import Program, Programs
from sites import awaited_only
from worlds import WORLDS, World

from daffi.exceptions import CallTimeout, RemoteCallError

# Coroutines call on in every world, plain functions where calls block.
HOPS = {"blocking": ("mix_hops", "mix_hops_async"), "asyncio": ("mix_hops_async",),
        "trio": ("mix_hops_async",)}  # fmt: skip
numbers = itertools.count(1)


async def talk(world: World, conn: Any, to: str) -> None:
    """Every style, to both kinds of callbacks."""
    rpc = conn.rpc(timeout=20, receiver=to)
    cast = conn.cast(timeout=20, receiver=[to])
    for end in ("", "_async"):
        assert await world.call(getattr(rpc, f"add{end}"), 1, b=2) == 3
        assert await world.call(getattr(cast, f"add{end}"), "a", "b") == {to: "ab"}
        with pytest.raises(ValueError, match="as it was told") as caught:
            await world.call(getattr(rpc, f"mix_raise{end}"), "as it was told")
        assert isinstance(caught.value, RemoteCallError) and caught.value.worker == to
        key = f"{conn!r} {next(numbers)}"
        for style in (conn.stream, conn.stream_nowait):
            send = getattr(style(receiver=to, serde="PICKLE"), f"mix_keep{end}")
            await world.call(send, ((key, value) for value in range(20)))
        if world.awaits:
            send = getattr(conn.stream(receiver=to, serde="PICKLE"), f"mix_keep{end}")
            await world.call(send, one_by_one(key, 20))
        # The one after another that are not acknowledged may be on their way yet.
        wanted = sorted([*range(20)] * (3 if world.awaits else 2))
        had: list[Any] = []
        while len(had) < len(wanted):
            had += await world.call(rpc.mix_kept, key)
        assert sorted(had) == wanted
        await world.call(conn.rpc_nowait(receiver=to).mix_keep, (key, "last"))
        await world.call(conn.cast_nowait(receiver=[to]).mix_keep, (key, "last"))
        had.clear()
        while len(had) < 2:
            had += await world.call(rpc.mix_kept, key)
        assert had == ["last", "last"]


async def one_by_one(key: str, many: int) -> Any:
    """The items of a stream as they come."""
    for value in range(many):
        await pause(0)
        yield key, value


async def given_up(world: World, conn: Any, to: str, gate: Gate) -> None:
    """Giving a call up, which takes an event loop, cancels the coroutine over there."""
    running = world.begin(conn.rpc(receiver=to).hold_async, gate.key)
    await world.until(lambda: gate.inside == 1)
    running.cancel()
    await world.until(lambda: gate.cancelled == 1)


# Each in a process of its own


@pytest.fixture(scope="module", params=list(WORLDS))
def other(request: pytest.FixtureRequest) -> str:
    """The world of the other process."""
    return str(request.param)


@pytest.fixture(scope="module", params=["service", "router"])
def there(request: pytest.FixtureRequest, other: str) -> Iterator[tuple[Program, str]]:
    """A process with a server and a worker, both of that world."""
    with Programs() as programs:
        program = programs.start("mixed.py", other, request.param)
        yield program, program.expect("ready")
        assert program.leave() == 0
        assert program.stderr == ""


@contextlib.asynccontextmanager
async def joined(world: World, url: str, name: str = "me") -> Any:
    """A client that is connected, and offers all that is registered here."""
    client = world.Client(name, url=url)
    mixing.reached[name] = await world.call(client.connect)
    try:
        yield mixing.reached[name]
    finally:
        await world.call(client.stop)
        del mixing.reached[name]


async def test_calls_to_another_process(world: World, there: tuple[Program, str]) -> None:
    async with joined(world, there[1]) as conn:
        await talk(world, conn, "worker")


async def test_a_deadline_of_another_process(world: World, there: tuple[Program, str]) -> None:
    async with joined(world, there[1]) as conn:
        with pytest.raises(CallTimeout):
            await world.call(conn.rpc(timeout=0.3).tell_nap_async, 30)
        for said in ("entered", "cancelled"):
            await world.thread(there[0].expect, said)


@awaited_only
async def test_a_call_from_another_process_is_given_up(
    world: World, there: tuple[Program, str]
) -> None:
    async with joined(world, there[1]) as conn:
        running = world.begin(conn.rpc().tell_nap_async, 30)
        await world.thread(there[0].expect, "entered")
        running.cancel()
        await world.thread(there[0].expect, "cancelled")


@pytest.mark.parametrize("there", ["router"], indirect=True)
async def test_callbacks_of_two_processes_call_each_other(
    world: World, other: str, there: tuple[Program, str]
) -> None:
    async with joined(world, there[1]) as conn:
        rpc = conn.rpc(timeout=20, receiver="worker")
        for mine, theirs in itertools.product(HOPS[world.name], HOPS[other]):
            back = [("worker", "me", mine), ("me", "worker", theirs), ("worker", "me", mine)]
            callers = await world.call(getattr(rpc, theirs), back)
            assert callers == ["me", "worker", "me", "worker"]


# In one process: each world in a thread of its own


@pytest.fixture(scope="module", params=list(WORLDS))
def hosts(request: pytest.FixtureRequest) -> Iterator[dict[str, Host]]:
    """Each world with a client, whose name is the world's, around a router of one of them."""
    with contextlib.ExitStack() as stack:
        hosts = {name: stack.enter_context(Host(world())) for name, world in WORLDS.items()}
        at = hosts[request.param]
        router = at.world.Router("server")
        at.do(at.world.call(router.start))
        stack.callback(leave, at, router)
        for name, host in hosts.items():
            client = host.world.Client(name, port=router.port)
            mixing.reached[name] = host.do(host.world.call(client.connect))
            stack.callback(leave, host, client)
        yield hosts
        mixing.reached.clear()


def leave(host: Host, node: Any) -> None:
    host.do(host.world.call(node.stop))


PAIRS = pytest.mark.parametrize(("caller", "worker"), list(itertools.product(WORLDS, WORLDS)))


@PAIRS
def test_calls_in_one_process(hosts: dict[str, Host], caller: str, worker: str, gate: Gate) -> None:
    host, conn = hosts[caller], mixing.reached[caller]
    host.do(talk(host.world, conn, worker))
    if host.world.awaits:
        host.do(given_up(host.world, conn, worker, gate))


@PAIRS
def test_a_deadline_in_one_process(
    hosts: dict[str, Host], caller: str, worker: str, gate: Gate
) -> None:
    host = hosts[caller]

    async def part() -> None:
        with pytest.raises(CallTimeout):
            late = mixing.reached[caller].rpc(timeout=0.2, receiver=worker)
            await host.world.call(late.hold_async, gate.key)
        await host.world.until(lambda: gate.cancelled == 1)

    host.do(part())


def test_rings_in_one_process(hosts: dict[str, Host]) -> None:
    """All worlds call each other in circles, from all of them, at the same time."""
    running = []
    for first, host in hosts.items():
        conn = mixing.reached[first]
        for names in itertools.permutations(WORLDS):
            round_ = [*names, names[0], names[1]]
            hops: list[Hop] = [(via, to, HOPS[to][0]) for via, to in itertools.pairwise(round_)]
            function = getattr(conn.rpc(timeout=20, receiver=names[0]), HOPS[names[0]][-1])
            callers = [first, *round_[:-1]]
            running.append((host.start(host.world.call(function, hops)), callers))
    for one, callers in running:
        assert one.wait() == callers


def test_a_cast_to_all_worlds(hosts: dict[str, Host]) -> None:
    for name, host in hosts.items():
        cast = mixing.reached[name].cast(timeout=20)
        for function in (cast.add, cast.add_async):
            answers = host.do(host.world.call(function, 1, 2))
            assert answers == {other: 3 for other in WORLDS if other != name}

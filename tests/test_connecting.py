"""Connecting with more functions than a greeting holds: whoever has connected can be called."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import strangers
from sites import Site, awaited_only, over_router
from strangers import Imposter, Peer
from worlds import World

from daffi import alias, callback
from daffi.exceptions import InitializationError


def wordy(number: int) -> Any:
    """A function of which sixty are more than a greeting holds."""

    def one() -> None: ...

    one.__doc__ = "word " * 40
    return callback(alias(f"connecting_{number}")(one))


many = [wordy(number) for number in range(60)]


class Unhurried(Imposter):
    """A server that takes in what is offered when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()
        self.answers = threading.Event()
        self.left = threading.Semaphore(0)

    def host(self) -> None:
        """Serve three clients, one after another, to their ends."""
        for _ in range(3):
            with contextlib.suppress(EOFError, OSError):
                self.serve(self._talk)
            self.left.release()

    def _talk(self, peer: Peer) -> None:
        peer.say(strangers.welcome())
        while True:
            told = peer.hear()
            if told.kind == strangers.ANNOUNCE:
                self.heard.set()
                assert len(told.body) > 10_000
                assert self.answers.wait(20)
            if told.kind in (strangers.ANNOUNCE, strangers.LEAVING):
                peer.say(strangers.frame(strangers.ANSWER, id=told.id))


@pytest.fixture
def server() -> Iterator[Unhurried]:
    with Unhurried() as server:
        hosting = threading.Thread(target=server.host, daemon=True)
        hosting.start()
        yield server
        server.answers.set()
    hosting.join(10)
    assert not hosting.is_alive()


@over_router
async def test_whoever_has_connected_can_be_called(world: World, site: Site) -> None:
    for number in range(5):
        name = f"many-{number}"
        await site.join(name, expose=many)
        call = site.conn.rpc(timeout=5, receiver=name).connecting_59
        assert await world.call(call) is None


@over_router
async def test_what_is_offered_is_known_again_after_a_loss(world: World, site: Site) -> None:
    await site.join("many", expose=many)
    port = site.server.port
    await world.call(site.server.stop)
    await site.start_server(port or 0)
    conn = await site.join("asker")
    await world.call(conn.wait_for_members, "many", timeout=10)
    for _ in range(500):
        members = {member.name: member for member in await world.call(conn.members)}
        if "connecting_59" in members["many"].functions:
            break
        await world.sleep(0.01)
    call = conn.rpc(timeout=5, receiver="many").connecting_59
    assert await world.call(call) is None
    assert site.nodes["many"].stats()["errors"] == 0


async def test_connect_waits_until_the_server_knows_what_is_offered(
    world: World, server: Unhurried
) -> None:
    worker = world.Client("wordy", port=server.port, expose=many, reconnect=False)
    connecting = world.begin(worker.connect)
    await world.thread(server.heard.wait, 20)
    await world.sleep(0.2)
    assert not connecting.done()
    server.answers.set()
    await connecting.result()
    await world.call(worker.stop)


async def test_it_waits_no_longer_than_it_may(world: World, server: Unhurried) -> None:
    options: dict[str, Any] = {"port": server.port, "expose": many, "connect_timeout": 0.5}
    worker = world.Client("wordy", **options)
    with pytest.raises(InitializationError, match=r"0\.5 s"):
        await world.call(worker.connect)
    assert "not started" in worker.info
    server.answers.set()
    assert await world.thread(server.left.acquire, True, 20)  # the connection has ended
    await world.call(worker.connect)
    await world.call(worker.stop)


@awaited_only
async def test_given_up_it_is_not_connected(world: World, server: Unhurried) -> None:
    worker = world.Client("wordy", port=server.port, expose=many)
    connecting = world.begin(worker.connect)
    await world.thread(server.heard.wait, 20)
    connecting.cancel()
    with contextlib.suppress(BaseException):
        await connecting.result()
    assert "not started" in worker.info
    server.answers.set()
    assert await world.thread(server.left.acquire, True, 20)
    await world.call(worker.connect)
    await world.call(worker.stop)


@awaited_only
async def test_one_of_two_that_connect_is_given_up(world: World, server: Unhurried) -> None:
    """The other goes on, and what is registered later is announced."""
    worker = world.Client("wordy", port=server.port)
    first = world.begin(worker.connect)
    await world.thread(server.heard.wait, 20)
    second = world.begin(worker.connect)
    await world.sleep(0)
    first.cancel()
    server.answers.set()
    await second.result()
    server.heard.clear()
    many.append(wordy(60 + len(many)))
    assert await world.thread(server.heard.wait, 5)
    await world.call(worker.stop)


async def test_stopped_meanwhile_it_says_so(world: World, server: Unhurried) -> None:
    worker = world.Client("wordy", port=server.port, expose=many)
    connecting = world.begin(worker.connect)
    await world.thread(server.heard.wait, 20)
    stopping = world.begin(worker.stop)
    await world.until(lambda: "stopped" in worker.info)
    await world.sleep(0.1)  # for the engine to hear it too
    server.answers.set()
    with pytest.raises(InitializationError, match="stopped"):
        await connecting.result()
    await stopping.result()
    assert "stopped" in worker.info


async def test_a_node_that_could_not_begin_is_collected(world: World) -> None:
    def make() -> Any:
        @callback
        @alias("connecting_own")
        def own() -> Any:
            return node

        node = world.Client("early", port=1, expose=[own], connect_timeout=0.5)
        return node

    node = make()
    with pytest.raises(InitializationError):
        await world.call(node.connect)
    gone = weakref.ref(node)
    node = make()  # what is registered stays, until the same definition takes its place
    await world.until(lambda: gc.collect() >= 0 and gone() is None)

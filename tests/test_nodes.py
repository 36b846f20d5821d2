"""Nodes as objects: what they accept, what they refuse, what they own before they start."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from sites import Site, over_tcp
from worlds import World

from daffi import Client, Router, Service
from daffi.exceptions import DaffiError, InitializationError, MessageTooLarge

ANY = [Router, Service, Client]
KINDS = pytest.mark.parametrize("kind", ANY)


def test_a_client_needs_an_address() -> None:
    with pytest.raises(InitializationError) as caught:
        Client("lost")
    text = str(caught.value)
    assert all(word in text for word in ("host", "port", "unix_sock_path", "url", "DAFFI_URL"))
    assert isinstance(caught.value, DaffiError)
    for half in ({"host": "127.0.0.1"}, {"port": 0, "host": "127.0.0.1"}):
        with pytest.raises(InitializationError, match="port"):
            Client("lost", **half)


@KINDS
def test_one_address_only(kind: Any, tmp_path: Path) -> None:
    path = tmp_path / "s"
    for mixed in (
        {"unix_sock_path": path, "port": 1},
        {"unix_sock_path": path, "host": "127.0.0.1"},
        {"url": "tcp://127.0.0.1:1", "port": 1},
        {"url": "tcp://127.0.0.1:1", "host": "127.0.0.1"},
        {"url": "tcp://127.0.0.1:1", "unix_sock_path": path},
    ):
        with pytest.raises(InitializationError):
            kind("both", **mixed)


@KINDS
@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://127.0.0.1:1"},
        {"url": "127.0.0.1:1"},
        {"url": "tcp://127.0.0.1:many"},
        {"url": "tcp://127.0.0.1:70000"},
        {"url": "unix://"},
        {"url": ""},
        {"port": 65_536, "host": "127.0.0.1"},
        {"port": -1, "host": "127.0.0.1"},
        {"port": "1", "host": "127.0.0.1"},
        {"app_name": "", "port": 1, "host": "127.0.0.1"},
        {"app_name": "x" * 256, "port": 1, "host": "127.0.0.1"},
        {"app_name": "new\nline", "port": 1, "host": "127.0.0.1"},
        {"app_name": 7, "port": 1, "host": "127.0.0.1"},
        {"max_message": 0, "port": 1, "host": "127.0.0.1"},
        {"max_message": "1", "port": 1, "host": "127.0.0.1"},
    ],
    ids=str,
)
def test_wrong_arguments_of_any_node(kind: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InitializationError):
        kind(**wrong)


@pytest.mark.parametrize("kind", [Service, Client])
@pytest.mark.parametrize("workers", [0, -1, "2", 1.5, True])
def test_wrong_workers(kind: Any, workers: Any) -> None:
    with pytest.raises(InitializationError, match="workers"):
        kind("n", "127.0.0.1", 1, workers=workers)


@pytest.mark.parametrize(
    "wrong",
    [{"default_timeout": -1}, {"default_timeout": "1"}, {"connect_timeout": 0}],
    ids=str,
)
def test_wrong_arguments_of_a_client(wrong: dict[str, Any]) -> None:
    with pytest.raises(InitializationError, match=next(iter(wrong))):
        Client("n", "127.0.0.1", 1, **wrong)


def test_wrong_balance() -> None:
    with pytest.raises(InitializationError, match="least_pending"):
        Router("n", balance="fair")


@pytest.mark.parametrize("kind", [Service, Client])
def test_expose_of_what_is_not_registered(kind: Any) -> None:
    for expose in (["no_such_function"], [len], 7):
        with pytest.raises(InitializationError):
            kind("n", "127.0.0.1", 1, expose=expose)


@KINDS
def test_four_positional_arguments_and_no_more(kind: Any, tmp_path: Path) -> None:
    assert kind("n", "127.0.0.1", 4000).app_name == "n"
    assert kind("n", None, None, tmp_path / "s").app_name == "n"
    with pytest.raises(TypeError):
        kind("n", "127.0.0.1", 4000, None, None)
    with pytest.raises(TypeError):
        kind("n", "127.0.0.1", 4000, colour="red")


def test_options_that_a_node_does_not_have() -> None:
    wrong: dict[str, Any]
    for wrong in ({"workers": 2}, {"expose": ()}, {"default_timeout": 1}, {"reconnect": True}):
        with pytest.raises(TypeError):
            Router("n", **wrong)
    for wrong in ({"balance": "round_robin"}, {"reconnect": True}):
        with pytest.raises(TypeError):
            Service("n", **wrong)
    wrong = {"balance": "round_robin"}
    with pytest.raises(TypeError):
        Client("n", "127.0.0.1", 1, **wrong)


@KINDS
def test_a_name_is_made_up(kind: Any) -> None:
    names = {kind(host="127.0.0.1", port=4000).app_name for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith(socket.gethostname()[:60]) for name in names)


@KINDS
def test_what_people_read(kind: Any) -> None:
    node = kind("reader", "127.0.0.1", 4000)
    assert "reader" in node.info and "4000" in node.info and "\n" not in node.info
    assert (node.host, node.port, node.app_name) == ("127.0.0.1", 4000, "reader")


@KINDS
def test_a_node_that_merely_exists_has_done_nothing(kind: Any) -> None:
    def state() -> tuple[Any, ...]:
        return (
            signal.getsignal(signal.SIGINT),
            signal.getsignal(signal.SIGTERM),
            list(logging.root.handlers),
            logging.getLogger("daffi").level,
            threading.active_count(),
            len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0,
        )

    before = state()
    node = kind("idle", "127.0.0.1", 4000)
    assert state() == before
    node.stop()  # of a node that never started
    del node


def test_a_servers_port_is_free_and_local() -> None:
    kinds: tuple[Any, ...] = (Router, Service)
    given: dict[str, Any]
    for kind in kinds:
        for given in ({}, {"port": 0}, {"host": "127.0.0.1"}):
            with kind("server", **given) as node:
                assert node.host == "127.0.0.1" and node.port > 0
                with socket.create_connection((node.host, node.port), 5):
                    pass


def test_every_way_to_name_an_address(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any]
    with Service("server") as service:
        for given in (
            {"host": "127.0.0.1", "port": service.port},
            {"port": service.port},
            {"host": "localhost", "port": service.port},
            {"url": f"tcp://127.0.0.1:{service.port}"},
            {"url": f"tcp://localhost:{service.port}"},
        ):
            with Client("caller", expose=(), **given) as conn:
                assert conn.rpc(timeout=5).add(1, 2) == 3
        monkeypatch.setenv("DAFFI_URL", f"tcp://127.0.0.1:{service.port}")
        with Client("caller", expose=()) as conn:
            assert conn.rpc(timeout=5).add(1, 2) == 3
    path = short_path / "s"
    with Service("server", url=f"unix://{path}"):
        for given in ({"unix_sock_path": path}, {"unix_sock_path": str(path)}):
            with Client("caller", expose=(), **given) as conn:
                assert conn.rpc(timeout=5).add(1, 2) == 3
    monkeypatch.setenv("DAFFI_URL", f"unix://{path}")
    with Service("server"), Client("caller", expose=()) as conn:
        assert conn.rpc(timeout=5).add(1, 2) == 3


@KINDS
def test_the_path_of_a_socket_is_utf8(kind: Any) -> None:
    for path in ("/tmp/lone\ud800", b"/tmp/\xff"):
        with pytest.raises(InitializationError, match="not UTF-8"):
            kind("n", unix_sock_path=path)


def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with Service("server", host="::1") as service:
        for given in (
            {"host": "::1", "port": service.port},
            {"url": f"tcp://[::1]:{service.port}"},
        ):
            with Client("caller", expose=(), **given) as conn:
                assert conn.rpc(timeout=5).add(1, 2) == 3


async def test_with_gives_the_connection_or_the_server(world: World) -> None:
    async with world.entered(world.Service("server")) as server:
        assert isinstance(server, world.Service)
        client = world.Client("caller", port=server.port, expose=())
        async with world.entered(client) as conn:
            assert await world.call(conn.rpc(timeout=5).add, 1, 2) == 3
        with pytest.raises(DaffiError):
            await world.call(conn.rpc(timeout=5).add, 1, 2)
    async with world.entered(world.Router("server")) as router:
        assert isinstance(router, world.Router)


async def test_many_nodes_in_one_process(world: World, site: Site) -> None:
    Client, enter = world.Client, world.entered
    async with (
        enter(world.Router("another")) as router,
        enter(world.Service("third")) as service,
        enter(Client("w1", port=router.port)),
        enter(Client("w2", port=router.port)),
        enter(Client("c1", port=router.port, expose=())) as routed,
        enter(Client("c2", port=service.port, expose=())) as direct,
    ):
        assert set(await world.call(routed.cast(timeout=5).add, 1, 2)) == {"w1", "w2"}
        assert await world.call(direct.rpc(timeout=5).add, 1, 2) == 3
        assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3


async def test_a_closed_connection(world: World, site: Site) -> None:
    conn = await site.join("closing")
    await world.call(conn.close)
    await world.call(conn.close)
    with pytest.raises(DaffiError):
        await world.call(conn.rpc(timeout=5).add, 1, 2)
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3


@pytest.mark.site(caller={"max_message": 100_000})
async def test_a_message_that_is_too_large_is_not_sent(world: World, site: Site) -> None:
    before = site.caller.stats()["bytes_sent"]
    for serde in ("PICKLE", "JSON", "MSGPACK", "OPAQUE"):
        with pytest.raises(MessageTooLarge, match="100"):
            await world.call(site.conn.rpc(timeout=5, serde=serde).echo, "x" * 200_000)
    assert site.caller.stats()["bytes_sent"] - before < 10_000
    assert len(await world.call(site.conn.rpc(timeout=5).echo, "x" * 50_000)) == 50_000
    await site.settled()


@pytest.mark.site(server={"max_message": 100_000})
async def test_a_message_that_is_too_large_for_the_server(world: World, site: Site) -> None:
    with pytest.raises(MessageTooLarge):
        await world.call(site.conn.rpc(timeout=5).echo, b"x" * 5_000_000)
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3
    await site.settled()


@over_tcp
@pytest.mark.site(worker={"max_message": 100_000})
async def test_a_result_that_is_too_large(world: World, site: Site) -> None:
    with pytest.raises(MessageTooLarge):
        await world.call(site.conn.rpc(timeout=5).add, "x" * 60_000, "y" * 60_000)
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3
    await site.settled()

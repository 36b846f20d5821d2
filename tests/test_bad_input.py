"""Strangers at the port: each gets a typed refusal within a second, and the node serves on."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest
from sites import Site, engine_alone, over_router, over_tcp
from strangers import PREAMBLE
from worlds import World

from daffi import Client, Router, Service
from daffi.exceptions import InitializationError, ProtocolError

SECOND = 1.5  # a second, and some noise of the machine

HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl\r\n\r\n"
TLS = bytes.fromhex("1603010200010001fc0303") + bytes(range(256)) * 2


def talk(port: int, data: bytes, within: float = SECOND) -> bytes:
    """Send bytes; everything that comes back until the other side closes."""
    deadline = time.monotonic() + within
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 5) as raw:
        raw.sendall(data)
        while True:
            raw.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                piece = raw.recv(65_536)
            except ConnectionResetError:
                return answer
            if not piece:
                return answer
            answer += piece


@over_tcp
async def test_http_is_refused_in_http(world: World, site: Site) -> None:
    for request in (HTTP, b"POST /x HTTP/1.0\r\n\r\n", b"HEAD / HTTP/1.1\r\n\r\n"):
        answer = await world.thread(talk, site.server.port, request)
        assert answer.startswith(b"HTTP/1.1 4"), answer
        assert b"\r\n\r\n" in answer and b"daffi" in answer.lower()
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3


@over_tcp
async def test_tls_is_refused_in_tls(world: World, site: Site) -> None:
    answer = await world.thread(talk, site.server.port, TLS)
    assert answer[:2] == b"\x15\x03" and answer[5] == 2, answer  # an alert, fatal
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3


@over_tcp
async def test_garbage_is_refused_with_a_line(world: World, site: Site) -> None:
    for data in (b"hello there\r\n", b"\x00" * 64, b"\xff" * 64, os.urandom(4096)):
        try:
            await world.thread(talk, site.server.port, data)
        except TimeoutError:
            pytest.fail(f"not refused within a second: {data[:16]!r}")
    answer = await world.thread(talk, site.server.port, b"hello there\r\n")
    assert b"daffi" in answer.lower() and answer.endswith(b"\n"), answer
    for _ in range(50):
        data = bytes([1 + os.urandom(1)[0] % 20]) + os.urandom(200)
        with contextlib.suppress(TimeoutError):
            await world.thread(partial(talk, within=0.02), site.server.port, data)
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3
    await site.settled()


def reach(site: Site) -> socket.socket:
    """A socket that is connected to the server."""
    if site.transport != "unix":
        return socket.create_connection(("127.0.0.1", site.server.port), 5)
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(5)
    raw.connect(str(site.directory / "s"))
    return raw


@engine_alone
@over_router
async def test_silent_handshakes_are_cut_and_hold_nobody_up(world: World, site: Site) -> None:
    begun = [b"", PREAMBLE[:1], PREAMBLE, PREAMBLE + b"\xff\0\0\0"]
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(reach(site)) for _ in range(500)]
        for number, raw in enumerate(silent):
            raw.sendall(begun[number % len(begun)])
        before = time.monotonic()
        conn = await site.join("good")
        assert await world.call(conn.rpc(timeout=5).add, 1, 2) == 3
        assert time.monotonic() - before < SECOND
        for raw in silent:
            raw.settimeout(max(0.01, before + 8 - time.monotonic()))
            with contextlib.suppress(ConnectionResetError):
                while await world.thread(raw.recv, 4096):  # a refusal to read, then the end
                    continue
        assert 4 < time.monotonic() - before < 8
    await world.until(lambda: site.server.stats()["connections"] == len(site.nodes) - 1)


@over_tcp
async def test_a_handshake_that_never_ends_is_cut(world: World, site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.server.port), 5) as raw:
        raw.settimeout(SECOND)
        with contextlib.suppress(ConnectionError):
            raw.sendall(b"\x00")
            for _ in range(200):
                raw.sendall(b"\x00" * 1024)
        with contextlib.suppress(ConnectionResetError):
            while raw.recv(4096):
                continue
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3


@contextlib.contextmanager
def stranger(answer: bytes) -> Iterator[int]:
    """A server that is not ours: says one thing to whoever connects, and stays."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    raw, _ = listener.accept()
                    taken.append(raw)
                    raw.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for raw in taken:
                raw.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"220 mail.example.org ESMTP\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"\xff" * 99,
    ],
    ids=["http", "smtp", "tls", "noise"],
)
def test_a_client_at_the_wrong_port(answer: bytes) -> None:
    with stranger(answer) as port:
        before = time.monotonic()
        with pytest.raises(ProtocolError) as caught:
            Client("lost", port=port, expose=()).connect()
        assert time.monotonic() - before < SECOND
        assert f"127.0.0.1:{port}" in str(caught.value)


def test_a_client_at_a_silent_port() -> None:
    with stranger(b"") as port:
        before = time.monotonic()
        with pytest.raises(InitializationError, match=str(port)):
            Client("lost", port=port, expose=(), connect_timeout=0.5).connect()
        assert 0.4 < time.monotonic() - before < 2


def test_a_client_at_a_port_where_nobody_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    before = time.monotonic()
    with pytest.raises(InitializationError) as caught:
        Client("lost", port=port, expose=()).connect()
    assert time.monotonic() - before < SECOND
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "refused" in str(caught.value).lower()


def test_a_client_at_a_name_that_nobody_has() -> None:
    with pytest.raises(InitializationError, match=r"no-such-host\.invalid"):
        Client("lost", "no-such-host.invalid", 4000, expose=(), connect_timeout=5).connect()


@pytest.mark.parametrize("kind", [Router, Service])
def test_a_port_in_use(kind: type[Router]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InitializationError) as caught:
            kind("second", port=port).start()
        assert f"127.0.0.1:{port}" in str(caught.value) and "in use" in str(caught.value)
    with kind("first") as node, pytest.raises(InitializationError, match="in use"):
        kind("second", port=node.port).start()


@pytest.mark.parametrize("kind", [Router, Service])
def test_an_address_that_is_not_ours(kind: type[Router]) -> None:
    with pytest.raises(InitializationError, match=r"192\.0\.2\.1"):
        kind("elsewhere", host="192.0.2.1", port=4000).start()


async def test_a_node_with_the_name_of_the_server(world: World, site: Site) -> None:
    with pytest.raises(InitializationError, match="server"):
        await world.call(world.Client("server", **site.address, expose=()).connect)
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3

"""WebSocket on a server's port: messages, last words, and Python clients that speak it."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from certificates import Certificates
from memory import resident
from sites import Site, engine_alone, over_router
from upgrades import (
    BINARY,
    CLOSE,
    CONTINUE,
    GOODBYE,
    PING,
    PONG,
    TEXT,
    Upgraded,
    call_add,
    daffi_frame,
    frame,
    hello,
    request,
)  # fmt: skip
from worlds import World

from daffi import Client, Service
from daffi.exceptions import (
    Disconnected,
    InitializationError,
    ProtocolError,
    SerdeNotAllowed,
)

SECOND = 1.5  # a second, and some noise of the machine
ANSWER = 0x11

over_ws = pytest.mark.parametrize("transport", ["ws"], indirect=True)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server that is up for all tests of this file."""
    with Service("server", port=0) as server:
        assert server.port is not None
        yield server.port


@engine_alone
@over_ws
@over_router
async def test_silent_peers_hold_nobody_up(world: World, site: Site) -> None:
    port = site.server.port
    begun = [b"", b"G", b"GET / HTTP/1.1\r\nHost:", request(port)]
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            for _ in range(500)
        ]
        for number, raw in enumerate(silent):
            raw.sendall(begun[number % len(begun)])
        before = time.monotonic()
        conn = await site.join("good")
        assert await world.call(conn.rpc(timeout=5, serde="JSON").add, 1, 2) == 3
        assert time.monotonic() - before < 1
        for raw in silent:
            raw.settimeout(8)
            with contextlib.suppress(ConnectionResetError):
                while await world.thread(raw.recv, 4096):
                    continue
        assert 3 < time.monotonic() - before < 8


# Messages


def test_messages_in_fragments(port: int) -> None:
    with Upgraded(port) as peer:
        greeting = hello("fragments")
        peer.send(BINARY, greeting[:5], last=False)
        peer.send(PING, b"in between")
        peer.send(CONTINUE, b"", last=False)
        peer.send(CONTINUE, greeting[5:40], last=False)
        peer.send(CONTINUE, greeting[40:])
        assert peer.receive() == (PONG, b"in between")
        kind, message = peer.receive()
        assert kind == BINARY and message[12] == 4
        for number in range(1, 4):
            call = call_add(number)
            for at in range(len(call)):
                last = at == len(call) - 1
                peer.send(CONTINUE if at else BINARY, call[at : at + 1], last=last)
            assert peer.hears(ANSWER) == b"3"
        peer.send(BINARY, call_add(10) + call_add(11) + call_add(12))
        answers = 0
        while answers < 3:
            answers += sum(kind == ANSWER for kind, _ in peer.said())


def test_a_ping_is_answered(port: int) -> None:
    with Upgraded(port) as peer:
        peer.greet("pings")
        for body in (b"", b"x", os.urandom(125)):
            peer.send(PING, body)
            while (heard := peer.receive())[0] != PONG:
                continue
            assert heard == (PONG, body)
        peer.send(PONG, b"unasked")
        peer.send(BINARY, call_add(1))
        assert peer.hears(ANSWER) == b"3"


@pytest.mark.parametrize(
    ("code", "sent"),
    [
        pytest.param(1002, frame(BINARY, b"x", mask=False), id="unmasked"),
        pytest.param(1003, frame(TEXT, b"hello"), id="text"),
        pytest.param(1002, b"\xc2\x80\0\0\0\0", id="a reserved bit"),
        pytest.param(1002, frame(3), id="kind 3"),
        pytest.param(1002, frame(11), id="kind 11"),
        pytest.param(1002, frame(CONTINUE, b"x"), id="nothing to go on with"),
        pytest.param(
            1002, frame(BINARY, b"x", last=False) + frame(BINARY, b"y"), id="a message in a message"
        ),
        pytest.param(1002, frame(PING, b"x", last=False), id="half a ping"),
        pytest.param(1002, b"\x89\xfe\x00\x7e\0\0\0\0", id="a long ping"),
        pytest.param(1002, b"\x82\xfe\x00\x01\0\0\0\0", id="a length too long"),
        pytest.param(1009, b"\x82\xff" + struct.pack(">Q", 1 << 30) + b"\0\0\0\0", id="a gibibyte"),
        pytest.param(
            1009, b"\x82\xff" + struct.pack(">Q", (1 << 64) - 1) + b"\0\0\0\0", id="2^64-1"
        ),
        pytest.param(1002, frame(CLOSE, b"\x03"), id="half a code"),
        pytest.param(1002, frame(CLOSE, struct.pack(">H", 999)), id="no such code"),
        pytest.param(
            1007, frame(CLOSE, struct.pack(">H", 1000) + b"\xff"), id="a reason that is not UTF-8"
        ),
        pytest.param(1008, frame(PING) * 1100, id="pings without end"),
    ],
)
@pytest.mark.parametrize("greeted", [True, False])
def test_bad_frames_are_answered_with_a_code(
    port: int, code: int, sent: bytes, greeted: bool
) -> None:
    before = time.monotonic()
    with Upgraded(port) as peer:
        if greeted:
            peer.greet("bad")
        peer.socket.sendall(sent)
        told, reason = peer.closed_with()
        assert told == code and reason
        assert peer.is_cut()
    assert time.monotonic() - before < SECOND


def test_frames_of_daffi_that_are_wrong_are_a_goodbye_and_a_code(port: int) -> None:
    with Upgraded(port) as peer:
        peer.greet("wrong")
        peer.send(BINARY, daffi_frame(0x7F, b""))
        assert peer.hears_goodbye() == "protocol"
        code, reason = peer.closed_with()
        assert code == 1002 and reason
        peer.send(CLOSE, struct.pack(">H", code))
        assert peer.is_cut()
    with Upgraded(port) as peer:
        peer.send(BINARY, b"GET / HTTP/1.1\r\n\r\n")
        kind, line = peer.receive()
        assert kind == BINARY and b"daffi" in line
        assert peer.closed_with()[0] == 1000


def test_the_last_words_of_both_sides() -> None:
    with Service("server", port=0) as server:
        assert server.port is not None
        for code in (1000, 1001, 4000):
            with Upgraded(server.port) as peer:
                peer.greet("leaves")
                peer.send(CLOSE, struct.pack(">H", code) + b"done")
                assert peer.closed_with() == (code, "")
                assert peer.is_cut()
        with Upgraded(server.port) as peer:
            peer.greet("says goodbye")
            farewell = {"kind": "stopping", "ran": "maybe", "message": "done"}
            peer.send(BINARY, daffi_frame(GOODBYE, farewell))
            peer.send(CLOSE, struct.pack(">H", 1000))
            assert peer.closed_with()[0] == 1000
            assert peer.is_cut()
        with Upgraded(server.port) as peer:
            peer.greet("stays")
            with Upgraded(server.port) as second:
                second.greet("stays")
                assert peer.hears_goodbye() == "evicted"
                assert peer.closed_with()[0] == 1000
        with Upgraded(server.port) as peer:
            peer.greet("is left")
            server.stop()
            assert peer.hears_goodbye() == "stopping"
            code, reason = peer.closed_with()
            assert code == 1001 and "stopped" in reason


def test_the_same_under_tls(certificates: Certificates) -> None:
    context = ssl.create_default_context(cafile=certificates.ca_file)
    with Service("server", **certificates.server()) as server:
        assert server.port is not None
        with Upgraded(server.port, "Origin: https://localhost:8443", tls=context) as peer:
            greeting = hello("secure")
            peer.send(BINARY, greeting[:9], last=False)
            peer.send(PING, b"in between")
            peer.send(CONTINUE, greeting[9:])
            assert peer.receive() == (PONG, b"in between")
            assert peer.receive()[1][12] == 4
            peer.send(BINARY, call_add(1))
            assert peer.hears(ANSWER) == b"3"
            peer.send(TEXT, b"hello")
            assert peer.closed_with()[0] == 1003
        for refused in ("Origin: https://localhost.evil.com", "Origin: null", "Host: localhost"):
            with Upgraded(server.port, refused, tls=context) as peer:
                assert peer.status == 403 and peer.body.endswith(b".\r\n")
        with Upgraded(server.port) as peer:  # without TLS
            assert peer.status in (400, 426) and b"TLS" in peer.body


# Python clients


@over_ws
async def test_a_pickle_is_refused_in_both_directions(world: World, site: Site) -> None:
    for make in (
        site.conn.rpc(timeout=5).add,
        site.conn.rpc(timeout=5, serde="PICKLE").add,
    ):
        with pytest.raises(SerdeNotAllowed, match="WebSocket"):
            await world.call(make, 1, 2)
    assert await world.call(site.conn.rpc(timeout=5, serde="JSON").add, 1, 2) == 3
    await site.settled()


@over_ws
@over_router
async def test_nor_is_one_sent_to_a_worker(world: World, site: Site) -> None:
    near = world.Client("near", port=site.server.port, expose=())
    site.nodes["near"] = near
    conn = await world.call(near.connect)
    before = site.worker.stats()
    for value in (1, b"x" * 3_000_000):
        with pytest.raises(SerdeNotAllowed, match="WebSocket"):
            await world.call(conn.rpc(timeout=5).echo, value)
        answers = await world.call(conn.cast(timeout=5).echo, value)
        assert isinstance(answers["worker"], SerdeNotAllowed), answers
    with pytest.raises(SerdeNotAllowed, match="WebSocket"):
        await world.call(conn.stream(timeout=5, serde="PICKLE").echo, [1, 2])
    after = site.worker.stats()
    assert after["functions"] == before["functions"], "nothing ran"
    assert await world.call(conn.rpc(timeout=5, serde="MSGPACK").add, 1, 2) == 3
    await site.settled()


@over_ws
@over_router
async def test_one_goes_to_the_worker_who_can_read_it(world: World, site: Site) -> None:
    near = world.Client("near", port=site.server.port, expose=None, workers=1)
    caller = world.Client("plain caller", port=site.server.port, expose=())
    site.nodes |= {"near": near, "plain caller": caller}
    await world.call(near.connect)
    conn = await world.call(caller.connect)
    threads = await world.call(conn.cast(timeout=5, serde="JSON").thread_id)
    assert set(threads) == {"worker", "near"}
    for _ in range(4):
        assert await world.call(conn.rpc(timeout=5).thread_id) == threads["near"]
        await world.call(conn.stream(timeout=5, serde="PICKLE").echo, [1, 2])
    call = conn.rpc(timeout=5, serde="JSON").thread_id
    assert {await world.call(call) for _ in range(4)} == set(threads.values())
    await world.call(near.stop)
    with pytest.raises(SerdeNotAllowed, match="WebSocket"):
        await world.call(conn.rpc(timeout=5).thread_id)
    await site.settled()


@pytest.mark.site(server={"allow_pickle": True}, caller={"allow_pickle": True})
@over_ws
async def test_whatever_has_been_set(world: World, site: Site) -> None:
    with pytest.raises(SerdeNotAllowed):
        await world.call(site.conn.rpc(timeout=5).add, 1, 2)


@over_ws
async def test_large_messages(world: World, site: Site) -> None:
    data = os.urandom(1 << 16) * 80
    for size in (125, 126, 65_535, 65_536, 65_537, 1_000_000, len(data)):
        part = data[:size]
        assert await world.call(site.conn.rpc(timeout=20, serde="MSGPACK").echo, part) == part
        assert await world.call(site.conn.rpc(timeout=20, serde="OPAQUE").echo, part) == part
    await site.settled()


def test_a_large_message_leaves_no_memory_behind(port: int) -> None:
    """What a client masks it has a copy of, until that is written."""
    with contextlib.ExitStack() as stack:
        url = f"ws://127.0.0.1:{port}"
        conns = [stack.enter_context(Client(url=url, expose=())) for _ in range(60)]
        data = os.urandom(1_000_000)
        for conn in conns[:3]:  # what the process needs for one of them
            assert conn.rpc(timeout=20, serde="MSGPACK").length(data) == len(data)
        before = resident()
        for conn in conns:
            assert conn.rpc(timeout=20, serde="MSGPACK").length(data) == len(data)
        assert resident() - before < 20_000_000


@over_ws
async def test_one_byte_at_a_time(world: World, site: Site, proxies: Any) -> None:
    proxy = proxies(site.server.port)
    proxy.slice = 1
    url = f"ws://127.0.0.1:{proxy.port}"
    with pytest.raises(InitializationError, match="allowed_hosts"):
        await world.call(world.Client("named", url=url, expose=()).connect)


@over_ws
@pytest.mark.site(server={"allowed_hosts": ["127.0.0.1"]})
async def test_one_byte_at_a_time_through_a_proxy(world: World, site: Site, proxies: Any) -> None:
    proxy = proxies(site.server.port)
    proxy.slice = 1
    node = world.Client("proxied", url=f"ws://127.0.0.1:{proxy.port}", expose=())
    site.nodes["proxied"] = node
    conn = await world.call(node.connect)
    for serde in ("JSON", "MSGPACK", "OPAQUE"):
        assert await world.call(conn.rpc(timeout=20, serde=serde).echo, "text") == "text"
    proxy.slice = 7
    data = bytes(range(256)) * 300
    assert await world.call(conn.rpc(timeout=30, serde="OPAQUE").echo, data) == data
    await world.thread(proxy.reset)
    await world.until(lambda: node.stats()["connections"] == 0)
    assert await world.call(conn.rpc(timeout=10, serde="JSON").add, 1, 2) == 3
    await site.settled()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
        b"\xdaffi\x01\x01\0\0",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 101 X\r\n" + b"X: y\r\n" * 5000,
    ],
)
def test_a_client_at_a_port_without_websocket(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        client = Client("lost", url=f"ws://127.0.0.1:{port}", expose=(), connect_timeout=5)

        def serve() -> None:
            raw, _ = listener.accept()
            with raw, contextlib.suppress(OSError):
                raw.recv(65_536)
                raw.sendall(answer)
                raw.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ProtocolError, match=rf"ws://127\.0\.0\.1:{port}"):
            client.connect()
        thread.join(5)


def test_the_server_closes_with_a_code_and_the_client_says_so() -> None:
    with Service("server", port=0, max_message=1 << 20) as server:
        client = Client("c", url=f"ws://127.0.0.1:{server.port}", expose=(), reconnect=False)
        conn = client.connect()
        assert "ws://127.0.0.1" in client.info and client.port == server.port
        server.stop()
        with pytest.raises(Disconnected):
            conn.rpc(timeout=5, serde="JSON").add(1, 2)
        client.stop()

"""A request to become a WebSocket: who is let in, and what the others are told."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from upgrades import BINARY, Upgraded, frame, hello, request

from daffi import Client, Router, Service
from daffi.exceptions import InitializationError

SECOND = 1.5  # a second, and some noise of the machine


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server that is up for all tests of this file."""
    with Service("server", port=0) as server:
        assert server.port is not None
        yield server.port


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (426, ["Upgrade"]),
        (426, ["Upgrade: h2c"]),
        (426, ["Connection: keep-alive"]),
        (426, ["Sec-WebSocket-Version: 8"]),
        (426, ["Sec-WebSocket-Version"]),
        (400, ["Sec-WebSocket-Key"]),
        (400, ["Sec-WebSocket-Key: short"]),
        (400, ["Sec-WebSocket-Protocol: soap"]),
        (400, ["Host"]),
        (400, ["Host: localhost", "Host: localhost"]),
        (400, ["Origin: http://localhost", "Origin: http://localhost"]),
        (400, ["Content-Length: 10"]),
        (400, ["Transfer-Encoding: chunked"]),
        (400, [f"X-{number}: y" for number in range(70)]),
        (400, ["X: " + "y" * 20_000]),
        (403, ["Host: evil.example"]),
        (403, ["Origin: http://evil.example"]),
    ],
)
def test_a_bad_upgrade_is_refused_in_http(port: int, status: int, changes: list[str]) -> None:
    before = time.monotonic()
    with Upgraded(port, *changes) as refused:
        assert refused.status == status, refused.head
        assert refused.body.startswith((b"T", b"U", b"P", b"S", b"O", b"A")), refused.body
        assert refused.body.endswith(b".\r\n")
        assert "close" in refused.headers["connection"]
        if status == 426:
            assert refused.headers["upgrade"] == "websocket"
            assert refused.headers["sec-websocket-version"] == "13"
    assert time.monotonic() - before < SECOND


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (426, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        (405, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"),
        (405, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        (400, b"GET / HTTP/1.0\r\n\r\n"),
        (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (400, b"SSH-2.0-OpenSSH_9.9\r\n"),
        (400, b"hello there"),
        (400, b"GET / HTTP/1.1\r\n: nameless\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nX: \0\r\n\r\n"),
    ],
)
def test_what_is_no_upgrade_is_told_what_to_do(port: int, status: int, raw: bytes) -> None:
    before = time.monotonic()
    with Upgraded(port, raw=raw) as refused:
        assert refused.status == status, refused.head
        assert b"daffi" in refused.body or b"HTTP/1.1" in refused.body
        if status == 405:
            assert refused.headers["allow"] == "GET"
        assert refused.is_cut()
    assert time.monotonic() - before < SECOND


ADMITTED = [
    "http://localhost:{port}",
    "http://localhost",
    "http://localhost:8000",
    "https://localhost:8443",
    "http://127.0.0.1:8000",
    "http://[::1]:8000",
    "http://LOCALHOST:8000",
]
REFUSED = [
    "null",
    "",
    "http://localhost.evil.com",
    "http://localhost.evil.com:{port}",
    "http://evil.com/localhost",
    "http://evil.com?localhost",
    "http://evil-localhost",
    "http://sub.localhost",
    "http://localhost.",
    "http://127.0.0.1.evil.com",
    "http://127.0.0.2",
    "http://127.1",
    "http://2130706433",
    "http://0x7f000001",
    "http://0.0.0.0:{port}",
    "http://[::]",
    "http://[::1",
    "http://::1",
    "http://user@localhost",
    "http://localhost@evil.com",
    "http://localhost:99999",
    "http://localhost:",
    "http://localhost/",
    "http://localhost http://evil.com",
    "http://localhost, http://localhost",
    "file://",
    "file://localhost",
    "chrome-extension://localhost",
    "localhost",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("origin", ADMITTED)
def test_pages_of_this_machine_come_in(port: int, origin: str) -> None:
    with Upgraded(port, "Origin: " + origin.format(port=port)) as page:
        assert page.status == 101
        page.greet("page")


@pytest.mark.parametrize("origin", REFUSED)
def test_pages_of_others_do_not(port: int, origin: str) -> None:
    origin = origin.format(port=port)
    before = time.monotonic()
    with Upgraded(port, "Origin: " + origin) as page:
        assert page.status == 403, page.head
        assert b"allowed_origins=[" in page.body
    assert time.monotonic() - before < SECOND


def test_an_origin_that_is_not_ascii_does_not_come_in(port: int) -> None:
    for origin in ("http://l\u043ecalhost", "http://localhost\u3002evil.com"):
        with Upgraded(port, "Origin: " + origin) as page:
            assert page.status == 400
    raw = request(port, "Origin: http://localhost").replace(b"localhost", b"l\xffcalhost")
    with Upgraded(port, raw=raw) as page:
        assert page.status == 400


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 101),
        ("LOCALHOST:{port}", 101),
        ("[::1]:{port}", 101),
        ("localhost", 403),
        ("localhost:1", 403),
        ("localhost.:{port}", 403),
        ("localhost.evil.com:{port}", 403),
        ("evil.com:{port}", 403),
        ("user@localhost:{port}", 403),
        ("0.0.0.0:{port}", 403),
        ("", 403),
    ],
)
def test_a_server_knows_its_own_names(port: int, host: str, status: int) -> None:
    with Upgraded(port, "Host: " + host.format(port=port)) as named:
        assert named.status == status, named.head
        assert (b"allowed_hosts=[" in named.body) == (status == 403)


@pytest.mark.parametrize("kind", [Router, Service])
def test_lists_replace_what_is_allowed(kind: Any) -> None:
    allowed = {"allowed_origins": ["https://app.example"], "allowed_hosts": ("api.example",)}
    with kind("listed", port=0, **allowed) as server:
        for origin, host, status in [
            ("https://app.example", "api.example", 101),
            ("https://app.example:443", "api.example:8080", 101),
            ("http://app.example", "api.example", 403),
            ("http://localhost", "api.example", 403),
            ("https://app.example", f"127.0.0.1:{server.port}", 403),
        ]:
            with Upgraded(server.port, f"Origin: {origin}", f"Host: {host}") as page:
                assert page.status == status, (origin, host)
        with pytest.raises(InitializationError, match=r"allowed_hosts=\[\"127") as refused:
            Client("here", url=f"ws://127.0.0.1:{server.port}", expose=()).connect()
        assert "403" in str(refused.value)
    everybody = kind("open", port=0, allowed_origins=["*"], allowed_hosts=["*"])
    with everybody, Upgraded(everybody.port, "Origin: null", "Host: any.example") as page:
        assert page.status == 101
    nobody = kind("shut", port=0, allowed_origins=())
    with nobody, Upgraded(nobody.port, "Origin: http://localhost") as page:
        assert page.status == 403


@pytest.mark.parametrize("kind", [Router, Service])
def test_a_list_that_can_not_be_meant_is_refused(kind: Any) -> None:
    for option, wrong in [
        ("allowed_origins", "https://app.example"),
        ("allowed_origins", 5),
        ("allowed_origins", [None]),
        ("allowed_origins", ["app.example"]),
        ("allowed_origins", ["https://app.example/"]),
        ("allowed_origins", ["https://*.example"]),
        ("allowed_hosts", "localhost"),
        ("allowed_hosts", ["http://localhost"]),
        ("allowed_hosts", ["localhost:port"]),
    ]:
        with pytest.raises(InitializationError, match=option):
            kind("wrong", port=0, **{option: wrong})


def test_a_subprotocol_is_agreed_on(port: int) -> None:
    with Upgraded(port, "Sec-WebSocket-Protocol: soap, daffi") as page:
        assert (page.status, page.headers["sec-websocket-protocol"]) == (101, "daffi")
    with Upgraded(port, "Sec-WebSocket-Extensions: permessage-deflate") as page:
        assert page.status == 101 and "sec-websocket-extensions" not in page.headers


def test_an_upgrade_that_comes_in_pieces(port: int) -> None:
    whole = request(port) + frame(BINARY, hello("pieces"))
    with Upgraded(port, raw=whole) as together:
        assert together.receive()[1][12] == 4, "a welcome"
    with socket.create_connection(("127.0.0.1", port), 5) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in whole:
            raw.sendall(bytes([byte]))
        raw.settimeout(5)
        come = b""
        while b"server" not in come:
            come += raw.recv(4096)
        assert come.startswith(b"HTTP/1.1 101 ")


def test_an_upgrade_that_never_ends_is_cut(port: int) -> None:
    before = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), 5) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n")
        raw.settimeout(0.25)
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - before < 8:
                raw.sendall(b"X: y\r\n")
                try:
                    if raw.recv(1) == b"":
                        break
                except TimeoutError:
                    continue
    assert 4 < time.monotonic() - before < 7

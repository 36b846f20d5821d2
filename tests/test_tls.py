"""TLS: who is let in, who is refused, how quickly, and what the refused get to read."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Certificates
from places import until
from strangers import PREAMBLE
from test_bad_input import HTTP, SECOND, stranger, talk

from daffi import Client, Service
from daffi.exceptions import (
    AuthenticationError,
    DaffiError,
    Disconnected,
    InitializationError,
    ProtocolError,
)

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])

BAD_SERVERS: dict[str, tuple[Callable[[Certificates], dict[str, Any]], str]] = {
    "wrong CA": (lambda certs: certs.strange(), "issued by none of those in ca_file"),
    "wrong name": (lambda certs: certs.issue("example.org"), "is for example.org, not for"),
    "expired": (lambda certs: certs.expired(), "expired 3 days ago"),
    "not yet valid": (lambda certs: certs.not_yet_valid(), "clocks"),
    "self-signed": (lambda certs: certs.self_signed(), "self-signed"),
    "self-signed CA": (lambda certs: certs.self_signed(is_ca=True), "self-signed|that of a CA"),
}


@pytest.fixture
def service(certificates: Certificates) -> Iterator[Service]:
    with Service("server", **certificates.server()) as node:
        yield node


@pytest.fixture
def mutual(certificates: Certificates) -> Iterator[Service]:
    """A server that wants to see certificates."""
    with Service("server", **certificates.server(), ca_file=certificates.ca_file) as node:
        yield node


def refused(port: int | None, **options: Any) -> DaffiError:
    """Why a client does not get in, which it has to hear soon."""
    before = time.monotonic()
    with pytest.raises(InitializationError) as caught:
        Client("caller", port=port, expose=(), **options).connect(wait=5)
    assert time.monotonic() - before < SECOND
    assert f"127.0.0.1:{port}" in str(caught.value)
    return caught.value


def works(port: int | None, **options: Any) -> None:
    with Client("caller", port=port, expose=(), **options) as conn:
        assert conn.rpc(timeout=5).add(1, 2) == 3


@contextlib.contextmanager
def recorder(version: ssl.TLSVersion, cert_file: str, key_file: str) -> Iterator[Any]:
    """A TLS server of somebody else's, which keeps what it is sent after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(cert_file, key_file)
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):  # an SSLError is one
                raw, _ = listener.accept()
                with raw, context.wrap_socket(raw, server_side=True) as wrapped:
                    heard.append(b"shaken hands")
                    heard.append(wrapped.recv(65_536))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], heard, thread
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


# Who is let in


@VERSIONS
def test_both_versions_are_spoken(
    service: Service, certificates: Certificates, version: ssl.TLSVersion
) -> None:
    context = ssl.create_default_context(cafile=certificates.ca_file)
    context.minimum_version = context.maximum_version = version
    raw = socket.create_connection(("127.0.0.1", service.port or 0), 5)
    with raw, context.wrap_socket(raw, server_hostname="localhost") as wrapped:
        wrapped.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = wrapped.recv(100)
        assert answer.startswith(b"HTTP/1.1 4"), answer
        assert wrapped.version() == f"TLSv1.{2 if version == V12 else 3}"


def test_names_and_bundles(service: Service, certificates: Certificates) -> None:
    """An address, a name, another name to verify, and a CA among others."""
    port, client = service.port, certificates.client()
    works(port, **client)
    works(port, host="localhost", **client)
    works(port, server_hostname="localhost", **client)
    bundle = certificates.write(
        "bundle.pem",
        b"# a comment\n" + certificates.strange_ca.cert_pem.bytes()
        + b"\nbetween\n" + certificates.ca.cert_pem.bytes(),
    )  # fmt: skip
    works(port, tls=True, ca_file=bundle)
    works(port, tls=True, ca_file=Path(bundle))
    url = f"tls://127.0.0.1:{port}"
    with Client("caller", url=url, ca_file=bundle, expose=()) as conn:
        assert conn.rpc(timeout=5).add(1, 2) == 3
    assert service.info == f"Service 'server' at {url}, up"


def test_a_self_signed_certificate_is_its_own_authority(certificates: Certificates) -> None:
    own = certificates.self_signed()
    with Service("server", tls=True, **own) as service:
        works(service.port, host="localhost", tls=True, ca_file=own["cert_file"])


def test_a_chain(certificates: Certificates) -> None:
    """The server sends what lies between its certificate and the CA."""
    middle = certificates.ca.create_child_ca()
    with Service("server", tls=True, **certificates.issue(ca=middle)) as service:
        works(service.port, **certificates.client())


def test_without_a_ca_it_is_encrypted_and_somebody_is_told(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        works(service.port, tls=True)
    (record,) = caplog.records
    assert record.name.startswith("daffi") and record.levelno == logging.WARNING
    assert "ca_file" in record.getMessage() and str(service.port) in record.getMessage()


def test_over_a_unix_socket(short_path: Path, certificates: Certificates) -> None:
    path = short_path / "s"
    with Service("server", unix_sock_path=path, **certificates.server()):
        options: dict[str, Any] = {"unix_sock_path": path, "expose": (), **certificates.client()}
        with pytest.raises(InitializationError, match="server_hostname"):
            Client("caller", **options)
        with Client("caller", server_hostname="localhost", **options) as conn:
            assert conn.rpc(timeout=5).add(1, 2) == 3


def test_both_sides_show_certificates(mutual: Service, certificates: Certificates) -> None:
    works(mutual.port, **certificates.client(), **certificates.issue("worker.example"))


def test_a_renewed_certificate_needs_no_new_client(certificates: Certificates) -> None:
    """A client reads its files each time it connects."""
    first = certificates.self_signed()
    ca_file = certificates.write("changing.pem", Path(first["cert_file"]).read_bytes())
    service = Service("server", tls=True, **first)
    service.start()
    port = service.port
    with Client("caller", "localhost", port, tls=True, ca_file=ca_file, expose=()) as conn:
        assert conn.rpc(timeout=5).add(1, 2) == 3
        service.stop()
        second = certificates.self_signed()
        Path(ca_file).write_bytes(Path(second["cert_file"]).read_bytes())
        with Service("server", port=port, tls=True, **second):
            assert conn.rpc(timeout=20).add(1, 2) == 3


def test_files_that_are_gone_when_a_client_comes_back(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody is told, once, and it is tried until they are there again."""
    ca_file = Path(certificates.write("moving.pem", certificates.ca.cert_pem.bytes()))
    content = ca_file.read_bytes()
    service = Service("server", **certificates.server())
    service.start()
    port = service.port
    with Client("caller", port=port, tls=True, ca_file=ca_file, expose=()) as conn:
        ca_file.unlink()
        with caplog.at_level(logging.WARNING, "daffi"):
            service.stop()
            service = Service("server", port=port, **certificates.server())
            service.start()
            for _ in range(20):
                with pytest.raises(Disconnected):
                    conn.rpc(timeout=0.5).add(1, 2)
                if caplog.records:
                    break
            (record,) = caplog.records
        assert str(ca_file) in record.getMessage() and "tried again" in record.getMessage()
        ca_file.write_bytes(content)
        assert conn.rpc(timeout=20).add(1, 2) == 3
        service.stop()


# Who is not


@VERSIONS
@pytest.mark.parametrize("kind", BAD_SERVERS)
def test_a_server_that_is_not_the_right_one(
    certificates: Certificates, kind: str, version: ssl.TLSVersion
) -> None:
    """The client says why, and not a byte of it goes to such a server."""
    make, reason = BAD_SERVERS[kind]
    with recorder(version, **make(certificates)) as (port, heard, thread):
        why = refused(port, **certificates.client())
        assert isinstance(why, AuthenticationError)
        assert re.search(reason, str(why)), why
        thread.join(5)
    assert not thread.is_alive() and not heard


def test_a_name_that_was_passed_is_verified(service: Service, certificates: Certificates) -> None:
    why = refused(service.port, server_hostname="example.org", **certificates.client())
    assert "localhost" in str(why) and "example.org" in str(why)


def test_a_certificate_without_names(certificates: Certificates) -> None:
    own = certificates.self_signed(names=())
    with Service("server", tls=True, **own) as service:
        why = refused(service.port, tls=True, ca_file=own["cert_file"])
    assert "subjectAltName" in str(why)


def test_plain_clients_at_a_tls_port(service: Service) -> None:
    port = service.port or 0
    why = refused(port)
    assert isinstance(why, ProtocolError) and "tls=True" in str(why)
    answer = talk(port, HTTP)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"TLS" in answer
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"TLS" in talk(port, b"\x00\x01\x02")
    assert service.stats()["connections"] == 0


def test_a_tls_client_at_a_plain_port() -> None:
    with Service("server") as service:
        why = refused(service.port, tls=True)
    assert isinstance(why, ProtocolError) and "tcp://" in str(why)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"hello\n", PREAMBLE])
def test_a_tls_client_at_a_stranger(answer: bytes) -> None:
    with stranger(answer) as port:
        why = refused(port, tls=True)
    assert isinstance(why, ProtocolError) and "not in TLS" in str(why)


def test_a_tls_client_that_gets_no_answer() -> None:
    before = time.monotonic()
    with stranger(b"") as port, pytest.raises(InitializationError, match="no answer"):
        Client("caller", port=port, tls=True, connect_timeout=0.3, expose=()).connect()
    assert time.monotonic() - before < SECOND


def test_a_client_that_shows_no_certificate(mutual: Service, certificates: Certificates) -> None:
    why = refused(mutual.port, **certificates.client())
    assert isinstance(why, AuthenticationError)
    assert "client certificate" in str(why) and "cert_file" in str(why)
    assert mutual.stats()["connections"] == 0


@pytest.mark.parametrize("kind", ["wrong CA", "expired"])
def test_a_client_with_the_wrong_certificate(
    mutual: Service, certificates: Certificates, kind: str
) -> None:
    wrong = certificates.expired() if kind == "expired" else certificates.strange()
    why = refused(mutual.port, **certificates.client(), **wrong)
    assert isinstance(why, AuthenticationError) and "cert_file" in str(why)
    assert mutual.stats()["connections"] == 0


@VERSIONS
@pytest.mark.parametrize("kind", ["none", "wrong CA", "expired"])
def test_what_a_server_takes_of_such_a_client(
    mutual: Service, certificates: Certificates, kind: str, version: ssl.TLSVersion
) -> None:
    """Nothing: it gets an alert and its end, whatever it sends behind its handshake."""
    context = ssl.create_default_context(cafile=certificates.ca_file)
    context.minimum_version = context.maximum_version = version
    if kind != "none":
        wrong = certificates.expired() if kind == "expired" else certificates.strange()
        context.load_cert_chain(wrong["cert_file"], wrong["key_file"])
    before = time.monotonic()
    raw = socket.create_connection(("127.0.0.1", mutual.port or 0), 5)
    with (
        raw,
        pytest.raises(ssl.SSLError, match=r"(?i)alert"),
        context.wrap_socket(raw, server_hostname="localhost") as wrapped,
    ):
        wrapped.sendall(PREAMBLE * 1000)
        wrapped.recv(100)
    assert time.monotonic() - before < SECOND
    assert mutual.stats()["connections"] == 0


def test_five_hundred_silent_peers(service: Service, certificates: Certificates) -> None:
    """They hold nobody up, and are gone when their time is over."""
    with contextlib.ExitStack() as stack:
        silent = []
        for number in range(500):
            raw = socket.create_connection(("127.0.0.1", service.port or 0), 5)
            silent.append(stack.enter_context(raw))
            raw.sendall(b"\x16\x03\x01\x02\x00\x01" if number % 2 else b"")
        before = time.monotonic()
        works(service.port, **certificates.client())
        assert time.monotonic() - before < SECOND
        for raw in silent:
            raw.settimeout(max(0.01, before + 8 - time.monotonic()))
            with contextlib.suppress(ConnectionResetError):
                while raw.recv(4096):
                    continue
        assert 4 < time.monotonic() - before < 8
    assert service.stats()["connections"] == 0


def test_a_handshake_that_never_ends_is_cut(service: Service) -> None:
    """A record at a time, each of a handshake message that is announced to be long."""
    piece = b"\x16\x03\x01\x04\x00" + (b"\x01\x00\xff\xff" + b"\0" * 1020)
    answer = talk(service.port or 0, piece + (b"\x16\x03\x01\x04\x00" + b"\0" * 1024) * 30, 4.0)
    assert len(answer) < 100  # an alert at most


def test_a_connection_that_is_cut_off_is_lost(service: Service, certificates: Certificates) -> None:
    """The end of a socket is not the end of TLS: it could be anybody's doing."""
    context = ssl.create_default_context(cafile=certificates.ca_file)
    with socket.create_connection(("127.0.0.1", service.port or 0), 5) as raw:
        wrapped = context.wrap_socket(raw, server_hostname="localhost")
        wrapped.sendall(PREAMBLE[:4])
        wrapped.shutdown(socket.SHUT_RDWR)
        wrapped.close()
    works(service.port, **certificates.client())
    asyncio.run(until(lambda: service.stats()["connections"] == 0))

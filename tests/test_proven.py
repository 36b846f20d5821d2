"""What is proven under TLS: whose name it is, whose pickles are read, whose token it is."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import offered  # noqa: F401 - registers what workers offer
import pytest
from certificates import Certificates
from namespaces import Elsewhere
from programs import Programs
from test_elsewhere import EVERYWHERE, STYLES, ask, asker, hinted

from daffi import Client, Router, Service
from daffi.exceptions import AuthenticationError, Evicted

SECRET = "one that nobody else knows"


@contextlib.contextmanager
def member(name: str, port: int | None, **options: Any) -> Iterator[Client]:
    client = Client(name, port=port, **options)
    try:
        client.connect()
        yield client
    finally:
        client.stop()


# Names


@pytest.mark.parametrize("token", [None, SECRET], ids=["no token", "token"])
def test_a_name_belongs_to_a_certificate(certificates: Certificates, token: str | None) -> None:
    one, two = certificates.issue("one.example"), certificates.issue("two.example")
    ours: dict[str, Any] = {**certificates.client(), "token": token}
    ca_file = certificates.ca_file
    with (
        Router("hub", token=token, **certificates.server(), ca_file=ca_file) as hub,
        member("worker", hub.port, **ours, **one) as worker,
        member("caller", hub.port, expose=(), **ours, **two) as caller,
    ):
        conn = caller.connect()
        # Who knows the token as well is still somebody else.
        other = Client("worker", port=hub.port, **ours, **two)
        with pytest.raises(AuthenticationError, match="certificate") as caught:
            other.connect()
        other.stop()
        assert "worker" in str(caught.value)
        assert conn.rpc(timeout=5).add(1, 2) == 3, "the old one stays"
        with member("worker", hub.port, **ours, **one):
            with pytest.raises(Evicted):
                worker.join()
            assert conn.rpc(timeout=5).add(1, 2) == 3


# Pickles


def test_certificates_of_both_are_trusted_from_elsewhere(
    programs: Programs, elsewhere: Elsewhere, certificates: Certificates
) -> None:
    ca_file = certificates.ca_file
    cert = certificates.issue(elsewhere.ours)
    theirs = {"tls": True, "ca_file": ca_file}
    with Service("host", host=EVERYWHERE, tls=True, ca_file=ca_file, **cert) as server:
        mine = certificates.issue("far.example")
        far = asker(programs, elsewhere, server.port, "far", **theirs, **mine)
        for style in STYLES:
            assert "error" not in ask(far, style, "pickle"), style
        assert far.leave() == 0
    # A client that shows none has proven nothing, whatever the server has.
    with Service("host", host=EVERYWHERE, tls=True, **cert) as server:
        far = asker(programs, elsewhere, server.port, "far", **theirs)
        for style in STYLES:
            answer = ask(far, style, "pickle")
            assert answer["error"] == "SerdeNotAllowed", style
            hinted(answer["text"])
            assert "error" not in ask(far, style, "json"), style
        assert far.leave() == 0


# Tokens


class Between:
    """Somebody on the way, who ends TLS with a certificate of his own and begins it anew."""

    def __init__(self, port: int | None, certificate: dict[str, Any]) -> None:
        assert port, "a TCP server that is up"
        self._target = port
        self._ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ours.load_cert_chain(certificate["cert_file"], certificate["key_file"])
        self._theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._theirs.check_hostname = False
        self._theirs.verify_mode = ssl.CERT_NONE
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.passed = 0  # bytes
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            raw, _ = self._listener.accept()
            near = self._ours.wrap_socket(raw, server_side=True)
            far = self._theirs.wrap_socket(socket.create_connection(("127.0.0.1", self._target)))
            pump = threading.Thread(target=self._pump, args=(far, near), daemon=True)
            pump.start()
            self._pump(near, far)
            pump.join(10)
            near.close()
            far.close()

    def _pump(self, source: ssl.SSLSocket, to: ssl.SSLSocket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := source.recv(65_536):
                self.passed += len(data)
                to.sendall(data)
        with contextlib.suppress(OSError):
            to.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Between:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join(10)


@pytest.mark.parametrize("token", [None, SECRET], ids=["no token", "token"])
def test_a_token_can_not_be_passed_on_under_tls(
    certificates: Certificates, token: str | None
) -> None:
    """Neither side has a certificate of the other to verify: the token alone finds it out."""
    with (
        Service("host", token=token, **certificates.server()) as server,
        Between(server.port, certificates.self_signed()) as between,
    ):
        caller = Client("caller", port=between.port, expose=(), tls=True, token=token)
        try:
            if token is None:
                assert caller.connect().rpc(timeout=5).add(1, 2) == 3, "he is between the two"
            else:
                with pytest.raises(AuthenticationError, match="token="):
                    caller.connect()
                assert [one.name for one in server.members()] == ["host"]
        finally:
            caller.stop()
        assert between.passed > 200
        with member("direct", server.port, expose=(), tls=True, token=token) as direct:
            assert direct.connect().rpc(timeout=5).add(1, 2) == 3

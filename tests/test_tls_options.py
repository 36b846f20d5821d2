"""The options of TLS: what does not go together, and what is wrong with which file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from certificates import Certificates, pem_of
from cryptography.hazmat.primitives.asymmetric import ec

from daffi import Client, Router, Service
from daffi.exceptions import InitializationError

SERVERS = pytest.mark.parametrize("kind", [Router, Service])
ADDRESS: dict[str, Any] = {"host": "127.0.0.1", "port": 1}


def refusal(make: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(InitializationError) as caught:
        node = make(*args, **options)
        node.connect() if isinstance(node, Client) else node.start()
    return str(caught.value)


@SERVERS
def test_a_server_needs_both_files(kind: Any) -> None:
    assert "cert_file" in refusal(kind, tls=True)
    assert "key_file" in refusal(kind, tls=True, cert_file="c")
    assert "cert_file" in refusal(kind, tls=True, key_file="k")
    assert "cert_file" in refusal(kind, url="tls://127.0.0.1:0")


@pytest.mark.parametrize("kind", [Router, Service, Client])
def test_files_are_for_tls(kind: Any) -> None:
    """Nobody may believe in TLS that is not there."""
    for option in ("cert_file", "key_file", "ca_file"):
        text = refusal(kind, **ADDRESS, **{option: "some.pem"})
        assert option in text and "tls=True" in text
    for wrong in (None, 1, "yes"):
        assert "tls" in refusal(kind, **ADDRESS, tls=wrong)


def test_what_a_client_may_pass() -> None:
    assert "server_hostname" in refusal(Client, **ADDRESS, server_hostname="x")
    assert "ca_file" in refusal(Client, **ADDRESS, tls=True, server_hostname="x")
    assert "key_file" in refusal(Client, **ADDRESS, tls=True, ca_file="ca", cert_file="c")
    assert "cert_file" in refusal(Client, **ADDRESS, tls=True, ca_file="ca", key_file="k")
    for wrong in ("", 7, b"x"):
        text = refusal(Client, **ADDRESS, tls=True, ca_file="ca", server_hostname=wrong)
        assert "server_hostname" in text
    for wrong in ("", 7, "a\0b"):
        assert "ca_file" in refusal(Client, **ADDRESS, tls=True, ca_file=wrong)


@SERVERS
def test_files_of_a_server(kind: Any, certificates: Certificates, tmp_path: Path) -> None:
    """Each refusal names the option, the file, and what is wrong with it."""
    good = certificates.issue()
    cert, key = good["cert_file"], good["key_file"]
    missing = str(tmp_path / "missing.pem")
    empty = certificates.write("empty.pem", b"")
    broken = certificates.write("broken.pem", b"-----BEGIN CERTIFICATE-----\nxx\n")
    nonsense = certificates.write(
        "nonsense.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    )
    der = certificates.write("cert.der", b"\x30\x82\x01\x00" + b"\0" * 256)
    secret = pem_of(ec.generate_private_key(ec.SECP256R1()), b"passphrase")
    encrypted = certificates.write("encrypted.key", secret)
    rare = certificates.write("rare.key", pem_of(ec.generate_private_key(ec.SECP256K1())))
    middle = certificates.ca.create_child_ca()
    chain = certificates.issue(ca=middle)
    parts = Path(chain["cert_file"]).read_bytes().split(b"-----BEGIN")[1:]
    backwards = certificates.write(
        "backwards.pem", b"".join(b"-----BEGIN" + part for part in reversed(parts))
    )

    def why(cert_file: str, key_file: str, **more: str) -> str:
        return refusal(kind, "server", tls=True, cert_file=cert_file, key_file=key_file, **more)

    for text, option, path, words in (
        (why(missing, key), "cert_file", missing, "No such file"),
        (why(cert, missing), "key_file", missing, "No such file"),
        (why(str(tmp_path), key), "cert_file", str(tmp_path), "directory"),
        (why(empty, key), "cert_file", empty, "no certificate"),
        (why(broken, key), "cert_file", broken, "PEM"),
        (why(nonsense, key), "cert_file", nonsense, "can't be used"),
        (why(der, key), "cert_file", der, "openssl x509"),
        (why(key, key), "cert_file", key, "private key"),
        (why(cert, cert), "key_file", cert, "swapped"),
        (why(cert, empty), "key_file", empty, "no private key"),
        (why(cert, encrypted), "key_file", encrypted, "passphrase"),
        (why(cert, rare), "key_file", rare, "P-256"),
        (why(cert, certificates.issue()["key_file"]), "cert_file", cert, "does not belong"),
        (why(backwards, chain["key_file"]), "cert_file", backwards, "order"),
        (why(cert, key, ca_file=missing), "ca_file", missing, "No such file"),
        (why(cert, key, ca_file=key), "ca_file", key, "no certificate"),
        (why(cert, key, ca_file=nonsense), "ca_file", nonsense, "can't be used"),
    ):
        assert option in text and path in text and words in text, text


def test_files_of_a_client(certificates: Certificates, tmp_path: Path) -> None:
    """They are looked at when it connects, and before it waits for a server."""
    good = certificates.issue()
    missing = tmp_path / "missing.pem"
    with Service("server", tls=True, **good) as service:
        where: dict[str, Any] = {"host": "127.0.0.1", "port": service.port, "tls": True}
        assert f"ca_file {missing}" in refusal(Client, **where, ca_file=missing)
        own = {"cert_file": good["cert_file"], "key_file": certificates.issue()["key_file"]}
        text = refusal(Client, **where, ca_file=certificates.ca_file, **own)
        assert "does not belong" in text
        name = {"ca_file": certificates.ca_file, "server_hostname": "no name"}
        assert "'no name'" in refusal(Client, **where, **name).replace('"', "'")

"""Whom a node believes, and how it proves who it is: TLS, tokens, allow-lists.

Options are checked here, before anything is opened, and every refusal says what to pass
instead. Nothing that was asked for to be safe may be ignored. Imports the engine,
`address` and `exceptions`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from daffi._native import Token
from daffi.address import Address, path_text
from daffi.exceptions import InitializationError
from daffi.log import Logger

_log = Logger("daffi.security")


ServerTls = tuple[str, str, str | None]  # cert_file, key_file, ca_file
# ca_file, server_hostname, (cert_file, key_file)
ClientTls = tuple[str | None, str, tuple[str, str] | None]


def server_tls(address: Address, cert_file: Any, key_file: Any, ca_file: Any) -> ServerTls | None:
    """TLS as the engine takes it on a server; None without."""
    _only_with_tls(address, cert_file=cert_file, key_file=key_file, ca_file=ca_file)
    if not address.tls:
        return None
    if cert_file is None or key_file is None:
        missing = "cert_file" if cert_file is None else "key_file"
        raise InitializationError(
            f"a server with TLS needs its certificate and its key: pass {missing} too (PEM)"
        )
    authority = None if ca_file is None else path_text("ca_file", ca_file)
    return path_text("cert_file", cert_file), path_text("key_file", key_file), authority


def client_tls(
    address: Address, cert_file: Any, key_file: Any, ca_file: Any, server_hostname: Any
) -> ClientTls | None:
    """TLS as the engine takes it on a client; None without. Warns where nothing is verified."""
    _only_with_tls(
        address, cert_file=cert_file, key_file=key_file, ca_file=ca_file,
        server_hostname=server_hostname,
    )  # fmt: skip
    if not address.tls:
        return None
    if (cert_file is None) != (key_file is None):
        missing = "cert_file" if cert_file is None else "key_file"
        raise InitializationError(f"a certificate needs its key: pass {missing} too (PEM)")
    own = None
    if cert_file is not None:
        own = path_text("cert_file", cert_file), path_text("key_file", key_file)
    if server_hostname is not None and (
        not isinstance(server_hostname, str) or not server_hostname
    ):
        raise InitializationError(f"server_hostname is a host's name, not {server_hostname!r}")
    if ca_file is None:
        if server_hostname is not None:
            raise InitializationError(
                "server_hostname is verified against the certificates in ca_file: pass it too"
            )
        _log.warning(
            "no ca_file for %s: what is sent is encrypted, but nobody verifies to whom; pass the"
            " CA that issued the server's certificate",
            address,
        )
        return None, address.host or "localhost", own
    name = server_hostname or address.host
    if name is None:
        raise InitializationError(
            "a Unix socket has no host name to verify: pass server_hostname, the name in the"
            " server's certificate"
        )
    return path_text("ca_file", ca_file), name, own


def _only_with_tls(address: Address, **options: Any) -> None:
    """Nobody may believe in TLS that is not there."""
    for option, value in options.items():
        if value is not None and not address.tls:
            raise InitializationError(f"{option} is for TLS: pass tls=True too, or leave it out")


def token(given: Any) -> Token | None:
    """The shared secret, given or from `DAFFI_TOKEN`; None where there is none.

    It is no text any more, so no repr, log or traceback can show it. No refusal shows it either.
    """
    source = "token"
    if given is None:
        source, given = "DAFFI_TOKEN", os.environ.get("DAFFI_TOKEN")
        if given is None:
            return None
    if not isinstance(given, str):
        raise InitializationError(f"token is a str, not {type(given).__name__}")
    if not given:
        raise InitializationError(
            f"{source} is empty: set it to the secret that both sides share, or leave it out"
        )
    if any("\ud800" <= character <= "\udfff" for character in given):
        raise InitializationError(f"{source} is no text that can be written as UTF-8")
    return Token(given)


def allowed(option: str, entries: Any) -> list[str] | None:
    """A list of who may come in over WebSocket; the engine reads what its entries say."""
    if entries is None:
        return None
    if isinstance(entries, str):
        raise InitializationError(f"{option} is a list of strings: pass [{entries!r}]")
    if isinstance(entries, bytes) or not isinstance(entries, Iterable):
        raise InitializationError(f"{option} is a list of strings, not {type(entries).__name__}")
    texts = [*entries]
    for text in texts:
        if not isinstance(text, str):
            raise InitializationError(f"{option} is a list of strings, not of {text!r}")
    return texts

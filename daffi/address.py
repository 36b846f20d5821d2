"""Where a node listens or connects to: host and port, a path, a URL, or the environment.

Addresses are checked here, before anything is opened, and every refusal says what to pass
instead. What protects a connection is `security`'s part. Imports `exceptions`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from daffi.exceptions import InitializationError

_LOCALHOST = "127.0.0.1"
_LONGEST_PATH = 103 if sys.platform == "darwin" else 107  # bytes of a Unix socket's path

# As the engine takes it: "tcp" or "ws", host, port; "unix", path, 0.
Address = tuple[str, str, int]
StrPath = str | os.PathLike[str]


def locate(
    host: str | None,
    port: int | None,
    unix_sock_path: StrPath | None,
    url: str | None,
    *,
    server: bool,
) -> Address:
    """Where to listen or to connect to, from the options or from `DAFFI_URL`."""
    tcp = host is not None or port is not None
    given = [
        option
        for option, there in (
            ("host and port", tcp),
            ("unix_sock_path", unix_sock_path is not None),
            ("url", url is not None),
        )
        if there
    ]
    if len(given) > 1:
        raise InitializationError(f"pass one address, not {' and '.join(given)} together")
    if unix_sock_path is not None:
        return _unix(unix_sock_path)
    if url is None and not tcp:
        url = os.environ.get("DAFFI_URL") or None
    if url is not None:
        return _from_url(url, server)
    if not tcp and not server:
        raise InitializationError(
            "no address to connect to: pass host and port, unix_sock_path or url, or set DAFFI_URL"
        )
    return _tcp(host, port, server)


def _tcp(host: Any, port: Any, server: bool) -> Address:
    if host is None:
        host = _LOCALHOST
    if not isinstance(host, str) or not host or not host.isprintable() or " " in host:
        raise InitializationError(f"host is a name or an IP address, not {host!r}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if port is None and server:
        port = 0
    if port is None:
        raise InitializationError(f"no port to connect to on {host}: pass port")
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise InitializationError(f"port is a whole number from 0 to 65535, not {port!r}")
    if port == 0 and not server:
        raise InitializationError("a client can't connect to port 0: pass the server's port")
    return "tcp", host, port


def _unix(path: StrPath) -> Address:
    if sys.platform == "win32":
        raise InitializationError("no Unix sockets on Windows: pass host and port")
    try:
        text = os.fsdecode(os.fspath(path))
    except TypeError:
        raise InitializationError(f"unix_sock_path is a path, not {type(path).__name__}") from None
    if not text or "\0" in text:
        raise InitializationError(f"unix_sock_path can't be {text!r}")
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise InitializationError(f"unix_sock_path is not UTF-8: {text!r}") from None
    if length > _LONGEST_PATH:
        raise InitializationError(
            f"the path of a Unix socket has at most {_LONGEST_PATH} bytes, this one has {length}:"
            f" {text}"
        )
    return "unix", text, 0


def _from_url(url: Any, server: bool) -> Address:
    from urllib.parse import unquote, urlsplit

    known = "tcp://host:port, ws://host:port or unix:///path"
    if not isinstance(url, str):
        raise InitializationError(f"url is a str such as {known}, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InitializationError(f"url {url!r}: {error}; pass {known}") from None
    scheme = parts.scheme
    if scheme in ("tls", "wss"):
        raise InitializationError(
            f"url {url!r}: this version of daffi has no TLS yet; pass {known}"
        )
    if parts.query or parts.fragment or parts.username or parts.password:
        raise InitializationError(f"url: only an address may be in it; pass {known}")
    if scheme == "tcp" and parts.path in ("", "/"):
        return _tcp(host, port, server)
    if scheme == "ws" and parts.path in ("", "/"):
        # A server hears what its clients speak by itself.
        _, name, number = _tcp(host, port, server)
        return "tcp" if server else "ws", name, number
    if scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
        return _unix(unquote(parts.path))
    raise InitializationError(f"url {url!r} is no address; pass {known}")


def shown(found: Address) -> str:
    """An address for people: a URL."""
    kind, where, port = found
    if kind == "unix":
        return f"unix://{where}"
    return f"{kind}://[{where}]:{port}" if ":" in where else f"{kind}://{where}:{port}"

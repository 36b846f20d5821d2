"""Where a node listens or connects to: host and port, a path, a URL, or the environment.

Addresses are checked here, before anything is opened, and every refusal says what to pass
instead. What protects a connection is `security`'s part. Imports `exceptions`.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NamedTuple

from daffi.exceptions import InitializationError

_LOCALHOST = "127.0.0.1"
_LONGEST_PATH = 103 if sys.platform == "darwin" else 107  # bytes of a Unix socket's path

_KNOWN = "tcp://host:port, tls://host:port, ws://host:port, wss://host:port or unix:///path"

_SECURE = {"tcp": "tls", "ws": "wss"}  # what a scheme is called with TLS

StrPath = str | os.PathLike[str]


class Address(NamedTuple):
    """Where a node listens or connects to."""

    kind: str  # "tcp", "ws" or "unix"
    where: str  # a host or a path
    port: int = 0
    tls: bool = False

    @property
    def engine(self) -> tuple[str, str, int]:
        """As the engine takes it."""
        return self.kind, self.where, self.port

    @property
    def host(self) -> str | None:
        """The host of an address that has one."""
        return self.where if self.kind != "unix" else None

    def __str__(self) -> str:
        """For people: a URL."""
        if self.kind == "unix":
            return f"unix://{self.where}" + (" with TLS" if self.tls else "")
        host = f"[{self.where}]" if ":" in self.where else self.where
        scheme = _SECURE[self.kind] if self.tls else self.kind
        return f"{scheme}://{host}:{self.port}"


def locate(
    host: str | None,
    port: int | None,
    unix_sock_path: StrPath | None,
    url: str | None,
    tls: Any,
    *,
    server: bool,
) -> Address:
    """Where to listen or to connect to, from the options or from `DAFFI_URL`."""
    if not isinstance(tls, bool):
        raise InitializationError(f"tls is True or False, not {tls!r}")
    found = _find(host, port, unix_sock_path, url, server)
    return found._replace(tls=tls or found.tls)


def _find(host: Any, port: Any, unix_sock_path: Any, url: Any, server: bool) -> Address:
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
    if url is not None:
        return _from_url("url", url, server)
    if tcp:
        return _tcp(host, port, server)
    if os.environ.get("DAFFI_URL"):
        return _from_url("DAFFI_URL", os.environ["DAFFI_URL"], server)
    if server:
        return _tcp(None, None, server)
    raise InitializationError(
        "no address to connect to: pass host and port, unix_sock_path or url, or set DAFFI_URL"
    )


def _tcp(host: Any, port: Any, server: bool) -> Address:
    if host is None:
        host = _LOCALHOST
    if not isinstance(host, str) or not host or not host.isprintable() or " " in host:
        raise InitializationError(f"host is a name or an IP address, not {host!r}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not _is_host(host):
        raise InitializationError(
            f"host is a name or an IP address, not {host!r}: a port is passed as port, a URL as url"
        )
    if port is None and server:
        port = 0
    if port is None:
        raise InitializationError(f"no port to connect to on {host}: pass port")
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise InitializationError(f"port is a whole number from 0 to 65535, not {port!r}")
    if port == 0 and not server:
        raise InitializationError("a client can't connect to port 0: pass the server's port")
    return Address("tcp", host, port)


def _is_host(host: str) -> bool:
    if ":" not in host:
        return not any(character in host for character in "/?#@[]")
    from ipaddress import IPv6Address

    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def path_text(option: str, path: Any) -> str:
    """A path as text, where that can be one."""
    try:
        text = os.fsdecode(os.fspath(path))
    except TypeError:
        raise InitializationError(f"{option} is a path, not {type(path).__name__}") from None
    if not text or "\0" in text:
        raise InitializationError(f"{option} can't be {text!r}")
    return text


def _unix(path: StrPath) -> Address:
    if sys.platform == "win32":
        raise InitializationError("no Unix sockets on Windows: pass host and port")
    text = path_text("unix_sock_path", path)
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise InitializationError(f"unix_sock_path is not UTF-8: {text!r}") from None
    if length > _LONGEST_PATH:
        raise InitializationError(
            f"the path of a Unix socket has at most {_LONGEST_PATH} bytes, this one has {length}:"
            f" {text}"
        )
    return Address("unix", text)


def _from_url(option: str, url: Any, server: bool) -> Address:
    """What a URL says; `option` is where it was given."""
    from urllib.parse import unquote, urlsplit

    if not isinstance(url, str):
        raise InitializationError(f"{option} is a str such as {_KNOWN}, not {type(url).__name__}")
    # What looks like a secret is not repeated.
    if "@" in url and not url.lower().startswith("unix:///"):
        raise InitializationError(
            f"{option}: there is a user or a password in it; pass a secret as token, and {_KNOWN}"
        )
    if "?" in url or "#" in url:
        raise InitializationError(
            f"{option}: only an address may be in it, no ? and no #; pass {_KNOWN}"
        )
    if url != url.strip():
        raise _bad(option, url, "there is space around it")
    if not url.isprintable():
        raise _bad(option, url, "there is something in it that can't be printed")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _bad(option, url, str(error)) from None
    scheme = parts.scheme
    if scheme == "unix":
        if parts.netloc or not parts.path.startswith("/"):
            raise _bad(option, url, "unix:// is followed by a path that begins with /")
        return _unix(unquote(parts.path))
    if scheme not in ("tcp", "tls", "ws", "wss"):
        what = f"{scheme}:// is none that is known" if "://" in url else "it begins with no scheme"
        raise _bad(option, url, what)
    if not host:
        raise _bad(option, url, "there is no host in it")
    if parts.path not in ("", "/"):
        raise _bad(option, url, f"no path may follow the port, as {parts.path} does")
    if port is None and not server:
        raise _bad(option, url, "there is no port in it")
    # A server hears by itself whether its clients speak WebSocket.
    kind = "ws" if scheme in ("ws", "wss") and not server else "tcp"
    return _tcp(host, port, server)._replace(kind=kind, tls=scheme in _SECURE.values())


def _bad(option: str, url: str, what: str) -> InitializationError:
    return InitializationError(f"{option} {url!r}: {what}; pass {_KNOWN}")

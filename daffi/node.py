"""What the nodes of every world share: options, names, addresses.

Options are checked here, before anything is opened, and every refusal says what to pass
instead. Nothing that waits, calls or runs callbacks may live here. Imports the engine (for
forks and the end of the process), `leaving` and `exceptions`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

from daffi import _native
from daffi.exceptions import ForkedError, InitializationError
from daffi.leaving import Turn, at_exit

MAX_MESSAGE = 1 << 30  # bytes
CONNECT_TIMEOUT = 10.0  # seconds
DRAIN = 10.0  # seconds that stop() gives to what is under way
_LOCALHOST = "127.0.0.1"
_LONGEST_PATH = 103 if sys.platform == "darwin" else 107  # bytes of a Unix socket's path

Address = tuple[str, str, int]  # as the engine takes it: "tcp", host, port; "unix", path, 0
Function = tuple[str, str, str]  # name, signature, first line of its documentation
StrPath = str | os.PathLike[str]


class Offered(str):
    """The name of a function that a member offers, with its `signature` and `summary`."""

    __slots__ = ("signature", "summary")
    signature: str
    summary: str

    def __new__(cls, name: str, signature: str = "", summary: str = "") -> Offered:
        offered = super().__new__(cls, name)
        offered.signature = signature
        offered.summary = summary
        return offered

    def __reduce__(self) -> tuple[Any, ...]:
        return Offered, (str(self), self.signature, self.summary)


class Member(NamedTuple):
    """Somebody on the network, and the functions that it offers."""

    name: str
    functions: list[Offered]


def members(found: Iterable[tuple[str, list[Function]]]) -> list[Member]:
    """Members as users see them."""
    return [Member(name, [Offered(*function) for function in some]) for name, some in found]


class Birth:
    """The process that a node was made in: a fork of it may not use the node."""

    __slots__ = ("_forks",)

    def __init__(self) -> None:
        self._forks = _native.forks()
        at_exit(Turn.NODES, _native.shutdown)

    def check(self) -> None:
        """Raise `ForkedError` in a child of that process."""
        if _native.forks() != self._forks:
            raise ForkedError(
                "this node belongs to the parent process; make a new one in the child"
            )


# Names and numbers


def app_name(name: Any) -> str:
    """The name given, checked, or one made of the host's name and a random suffix."""
    if name is None:
        return f"{_host_name()[:200] or 'node'}-{os.urandom(4).hex()}"
    if not isinstance(name, str):
        raise InitializationError(f"app_name is a str, not {type(name).__name__}")
    if not name.isprintable() or not 1 <= len(name.encode("utf-8", "replace")) <= 255:
        raise InitializationError(
            f"app_name is 1 to 255 bytes of printable text, not {name[:300]!r}"
        )
    return name


def _host_name() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    return os.environ.get("COMPUTERNAME", "")


_FOR_EVER = 1e9  # seconds, thirty years


def seconds(option: str, value: Any) -> float | None:
    """A time-out; None and infinity are for ever."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InitializationError(f"{option} is a number of seconds or None, not {value!r}")
    if not value >= 0:  # nor is NaN
        raise InitializationError(f"{option} can't be {value!r}: pass seconds, 0 or more, or None")
    return None if value >= _FOR_EVER else float(value)


_MOST = 1 << 62


def whole(option: str, value: Any, least: int) -> int:
    """A whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
        raise InitializationError(f"{option} is a whole number from {least}, not {value!r}")
    return value


def switch(option: str, value: Any, *, or_none: bool = False) -> bool | None:
    """True or False, or None where that means something."""
    if isinstance(value, bool) or (or_none and value is None):
        return value
    raise InitializationError(
        f"{option} is True{', False or None' if or_none else ' or False'}, not {value!r}"
    )


def one_of(option: str, value: str, choices: tuple[str, ...]) -> str:
    """One of a few words."""
    if value not in choices:
        raise InitializationError(f"{option} is {' or '.join(map(repr, choices))}, not {value!r}")
    return value


def refuse_security(**options: object) -> None:
    """Nothing that was asked for to be safe may be ignored: say that it is not there yet."""
    if options.get("token") is None and os.environ.get("DAFFI_TOKEN"):
        raise InitializationError(
            "DAFFI_TOKEN is set, but this version of daffi has no tokens yet; unset it,"
            " and let only trusted machines reach this address"
        )
    for option, value in options.items():
        if not value:
            continue
        what = {
            "token": "tokens",
            "allowed_origins": "WebSocket",
            "allowed_hosts": "WebSocket",
        }.get(option, "TLS")
        raise InitializationError(
            f"{option}: this version of daffi has no {what} yet; leave it out"
        )


# Addresses


def address(
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

    known = "tcp://host:port or unix:///path"
    if not isinstance(url, str):
        raise InitializationError(f"url is a str such as {known}, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InitializationError(f"url {url!r}: {error}; pass {known}") from None
    scheme = parts.scheme
    if scheme in ("tls", "ws", "wss"):
        what = "TLS" if scheme == "tls" else "WebSocket"
        raise InitializationError(
            f"url {url!r}: this version of daffi has no {what} yet; pass {known}"
        )
    if parts.query or parts.fragment or parts.username or parts.password:
        raise InitializationError(f"url: only an address may be in it; pass {known}")
    if scheme == "tcp" and parts.path in ("", "/"):
        return _tcp(host, port, server)
    if scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
        return _unix(unquote(parts.path))
    raise InitializationError(f"url {url!r} is no address; pass {known}")


def shown(found: Address) -> str:
    """An address for people: a URL."""
    kind, where, port = found
    if kind == "unix":
        return f"unix://{where}"
    return f"tcp://[{where}]:{port}" if ":" in where else f"tcp://{where}:{port}"

"""The three kinds of nodes: what each is made from, in every world.

Only their constructors live here, which check the options and make the engine's node; how
a world waits is in its own front. Imports the engine, `life`, `dispatch`, `address`,
`security` and `node`.
"""

from __future__ import annotations

from collections.abc import Iterable

from daffi import _native, node, security
from daffi.address import StrPath, locate
from daffi.exceptions import InitializationError
from daffi.life import Node


class RouterKind(Node):
    """The options of a Router."""

    _opened_by = "start"

    _engine: _native.Server

    def __init__(
        self,
        app_name: str | None = None,
        host: str | None = None,
        port: int | None = None,
        unix_sock_path: StrPath | None = None,
        *,
        url: str | None = None,
        tls: bool = False,
        cert_file: StrPath | None = None,
        key_file: StrPath | None = None,
        ca_file: StrPath | None = None,
        token: str | None = None,
        allow_pickle: bool | None = None,
        allowed_origins: Iterable[str] | None = None,
        allowed_hosts: Iterable[str] | None = None,
        balance: str = "round_robin",
        max_message: int = node.MAX_MESSAGE,
    ) -> None:
        secret = security.token(token)
        del token  # whatever shows the locals of a frame must not show it
        name = node.app_name(app_name)
        address = locate(host, port, unix_sock_path, url, tls, server=True)
        secured = security.server_tls(address, cert_file, key_file, ca_file)
        engine = _native.Server(
            name=name,
            address=address.engine,
            tls=secured,
            mailbox=None,
            max_message=node.whole("max_message", max_message, 1),
            allow_pickle=node.switch("allow_pickle", allow_pickle, or_none=True),
            allowed_origins=security.allowed("allowed_origins", allowed_origins),
            allowed_hosts=security.allowed("allowed_hosts", allowed_hosts),
            token=secret,
            balance=node.one_of("balance", balance, ("round_robin", "least_pending")),
        )
        super().__init__(engine, name, address, None, None)


class ServiceKind(Node):
    """The options of a Service."""

    _opened_by = "start"

    _engine: _native.Server

    def __init__(
        self,
        app_name: str | None = None,
        host: str | None = None,
        port: int | None = None,
        unix_sock_path: StrPath | None = None,
        *,
        url: str | None = None,
        workers: int | None = None,
        expose: Iterable[object] | None = None,
        tls: bool = False,
        cert_file: StrPath | None = None,
        key_file: StrPath | None = None,
        ca_file: StrPath | None = None,
        token: str | None = None,
        allow_pickle: bool | None = None,
        allowed_origins: Iterable[str] | None = None,
        allowed_hosts: Iterable[str] | None = None,
        max_message: int = node.MAX_MESSAGE,
    ) -> None:
        secret = security.token(token)
        del token  # whatever shows the locals of a frame must not show it
        name = node.app_name(app_name)
        address = locate(host, port, unix_sock_path, url, tls, server=True)
        dispatcher = self._dispatch(name, workers)
        secured = security.server_tls(address, cert_file, key_file, ca_file)
        engine = _native.Server(
            name=name,
            address=address.engine,
            tls=secured,
            mailbox=dispatcher.mailbox,
            max_message=node.whole("max_message", max_message, 1),
            allow_pickle=node.switch("allow_pickle", allow_pickle, or_none=True),
            allowed_origins=security.allowed("allowed_origins", allowed_origins),
            allowed_hosts=security.allowed("allowed_hosts", allowed_hosts),
            token=secret,
            balance="round_robin",
        )
        super().__init__(engine, name, address, dispatcher, expose)


class ClientKind(Node):
    """The options of a Client."""

    _opened_by = "connect"

    _engine: _native.Client

    def __init__(
        self,
        app_name: str | None = None,
        host: str | None = None,
        port: int | None = None,
        unix_sock_path: StrPath | None = None,
        *,
        url: str | None = None,
        workers: int | None = None,
        expose: Iterable[object] | None = None,
        tls: bool = False,
        cert_file: StrPath | None = None,
        key_file: StrPath | None = None,
        ca_file: StrPath | None = None,
        server_hostname: str | None = None,
        token: str | None = None,
        allow_pickle: bool | None = None,
        max_message: int = node.MAX_MESSAGE,
        default_timeout: float | None = None,
        reconnect: bool = True,
        connect_timeout: float = node.CONNECT_TIMEOUT,
    ) -> None:
        secret = security.token(token)
        del token  # whatever shows the locals of a frame must not show it
        name = node.app_name(app_name)
        address = locate(host, port, unix_sock_path, url, tls, server=False)
        dispatcher = self._dispatch(name, workers)
        patience = node.seconds("connect_timeout", connect_timeout)
        if not patience:
            raise InitializationError(
                f"connect_timeout can't be {connect_timeout!r}: pass seconds, more than 0"
            )
        default = node.seconds("default_timeout", default_timeout)
        secured = security.client_tls(address, cert_file, key_file, ca_file, server_hostname)
        engine = _native.Client(
            name=name,
            address=address.engine,
            tls=secured,
            mailbox=dispatcher.mailbox,
            max_message=node.whole("max_message", max_message, 1),
            reconnect=bool(node.switch("reconnect", reconnect)),
            connect_timeout=patience,
            allow_pickle=node.switch("allow_pickle", allow_pickle, or_none=True),
            token=secret,
        )
        super().__init__(engine, name, address, dispatcher, expose)
        self._default_timeout = default

    def server_name(self) -> str | None:
        """The name of the server; None before the first connection."""
        return self._engine.server

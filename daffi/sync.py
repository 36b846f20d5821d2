"""The blocking world: `Router`, `Service`, `Client` and its connection.

Nothing but the kinds of nodes and their waiting: options are checked in `node`, a node's life is
in `life`, calls are packed in `remote`, callbacks run in `dispatch`, and everything that takes
time happens in the engine, where every wait hears signals. Imports the engine and all of those;
no other world's front.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from daffi import _native, node
from daffi.dispatch import Dispatcher, current_job, inside, settle
from daffi.exceptions import InitializationError
from daffi.formats import SerdeFormat
from daffi.life import Node
from daffi.node import Member, StrPath
from daffi.remote import (
    Proxy,
    Receivers,
    Serde,
    Style,
    Way,
    bind_cast,
    bind_cast_nowait,
    bind_rpc,
    bind_rpc_nowait,
    bind_stream,
    bind_stream_nowait,
    check_name,
    check_timeout,
)

_PICKLE = SerdeFormat.PICKLE
_OPAQUE = SerdeFormat.OPAQUE
_ServerSelf = TypeVar("_ServerSelf", bound="_Server")


class _Server(Node):
    _engine: _native.Server

    @property
    def port(self) -> int | None:
        """The TCP port, the one that was taken once it is up; None on a Unix socket."""
        given = super().port
        return given if given is None else self._engine.port or given

    def start(self) -> None:
        """Bind and serve; returns when the port is bound.

        `InitializationError`, with address and reason, when that can't be. Nothing happens when
        it is up already.
        """
        self.begin(self._engine.start)

    def __enter__(self: _ServerSelf) -> _ServerSelf:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


class Router(_Server):
    """The hub: clients and workers connect to it, and it carries calls between them.

    It runs no callbacks and opens no payload. With no address it listens on 127.0.0.1 and a
    free port, which is `.port` after `start()`.
    """

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
        node.refuse_security(
            tls=tls, cert_file=cert_file, key_file=key_file, ca_file=ca_file, token=token,
            allowed_origins=allowed_origins, allowed_hosts=allowed_hosts,
        )  # fmt: skip
        name = node.app_name(app_name)
        address = node.address(host, port, unix_sock_path, url, server=True)
        engine = _native.Server(
            name=name,
            address=address,
            mailbox=None,
            max_message=node.whole("max_message", max_message, 1),
            allow_pickle=node.switch("allow_pickle", allow_pickle, or_none=True),
            balance=node.one_of("balance", balance, ("round_robin", "least_pending")),
        )
        super().__init__(engine, name, address, None, None)


class Service(_Server):
    """A server that runs callbacks itself: clients connect to it and call them.

    `workers` is how many callbacks may run at once; `expose` the functions, or names, that it
    offers, all that are registered where it is None. A callback that calls on may be called back
    by what it called, with one worker too; two unrelated calls that wait for each other's workers
    wait until one of them times out.
    """

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
        node.refuse_security(
            tls=tls, cert_file=cert_file, key_file=key_file, ca_file=ca_file, token=token,
            allowed_origins=allowed_origins, allowed_hosts=allowed_hosts,
        )  # fmt: skip
        name = node.app_name(app_name)
        address = node.address(host, port, unix_sock_path, url, server=True)
        mailbox = _mailbox(workers)
        engine = _native.Server(
            name=name,
            address=address,
            mailbox=mailbox,
            max_message=node.whole("max_message", max_message, 1),
            allow_pickle=node.switch("allow_pickle", allow_pickle, or_none=True),
            balance="round_robin",
        )
        super().__init__(engine, name, address, Dispatcher(name, mailbox), expose)


class Client(Node):
    """Connects to a Service or a Router, and calls; through a Router it may be called too.

    `connect()`, or `with`, gives the `ClientConnection` that calls go through.
    """

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
        node.refuse_security(
            tls=tls, cert_file=cert_file, key_file=key_file, ca_file=ca_file,
            server_hostname=server_hostname, token=token,
        )  # fmt: skip
        name = node.app_name(app_name)
        address = node.address(host, port, unix_sock_path, url, server=False)
        mailbox = _mailbox(workers)
        patience = node.seconds("connect_timeout", connect_timeout)
        if not patience:
            raise InitializationError(f"connect_timeout can't be {connect_timeout!r}")
        default = node.seconds("default_timeout", default_timeout)
        engine = _native.Client(
            name=name,
            address=address,
            mailbox=mailbox,
            max_message=node.whole("max_message", max_message, 1),
            reconnect=bool(node.switch("reconnect", reconnect)),
            connect_timeout=patience,
            allow_pickle=node.switch("allow_pickle", allow_pickle, or_none=True),
        )
        super().__init__(engine, name, address, Dispatcher(name, mailbox), expose)
        self._connection = ClientConnection(self, engine, default)

    def connect(self, wait: float | None = None) -> ClientConnection:
        """Connect and greet; returns the connection, the same one when it is up already.

        `wait` seconds long a server that is not up yet is tried again. `InitializationError`,
        with address and reason, when it can't be reached.
        """
        seconds = node.seconds("wait", wait)
        self.begin(lambda: self._engine.connect(seconds))
        return self._connection

    def __enter__(self) -> ClientConnection:
        return self.connect()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def server_name(self) -> str | None:
        """The name of the server; None before the first connection."""
        return self._engine.server


class ClientConnection:
    """What calls are made through, from any number of threads.

    Each style gives a proxy whose attributes are the remote functions. `timeout` is in seconds,
    None for the client's `default_timeout`; `receiver` names the worker; `serde` is a
    `SerdeFormat` or its name. Calls raise what `daffi.exceptions` lists, and every call ends in
    a result or one of those. Ctrl-C and the timeout cancel the call at the worker.
    """

    __slots__ = ("_cast", "_cast_nowait", "_client", "_engine", "_rpc", "_rpc_nowait", "_stream",
                 "_stream_nowait")  # fmt: skip

    def __init__(self, client: Client, engine: _native.Client, default: float | None) -> None:
        way = Way(engine.call, engine.post, engine.open, current_job, inside, settle)
        self._client = client
        self._engine = engine
        self._rpc = Style(way, bind_rpc, default=default)
        self._rpc_nowait = Style(way, bind_rpc_nowait, timed=False)
        self._cast = Style(way, bind_cast, many=True, default=default)
        self._cast_nowait = Style(way, bind_cast_nowait, many=True, timed=False)
        self._stream = Style(way, bind_stream, default=default)
        self._stream_nowait = Style(way, bind_stream_nowait, timed=False)

    def rpc(
        self, timeout: float | None = None, receiver: str | None = None, serde: Serde = _PICKLE
    ) -> Proxy:
        """Call one worker and return its result."""
        return self._rpc(timeout, receiver, serde)

    def rpc_nowait(
        self, receiver: str | None = None, serde: Serde = _PICKLE, timeout: float | None = None
    ) -> Proxy:
        """Call one worker and return None at once; waits only while the pipe is full."""
        return self._rpc_nowait(None, receiver, serde)

    def cast(
        self,
        timeout: float | None = None,
        receiver: Receivers | None = None,
        serde: Serde = _PICKLE,
    ) -> Proxy:
        """Call all workers that offer the function, or those named; returns a dict.

        Worker to result, or to the exception that its callback raised. `timeout` is for the
        whole: `CallTimeout` has the answers that did come in `.partial`.
        """
        return self._cast(timeout, receiver, serde)

    def cast_nowait(
        self,
        receiver: Receivers | None = None,
        serde: Serde = _PICKLE,
        timeout: float | None = None,
    ) -> Proxy:
        """Call all workers, or those named, and return None at once."""
        return self._cast_nowait(None, receiver, serde)

    def stream(
        self, timeout: float | None = None, receiver: str | None = None, serde: Serde = _OPAQUE
    ) -> Proxy:
        """Send one worker the items of a generator or an iterable, or one chunk.

        Each item is one call of the remote callback, which has run before the next is sent;
        `timeout` is for each. The chunks given to one kept proxy are one stream. A generator is
        closed when the stream fails.
        """
        return self._stream.fresh(timeout, receiver, serde)

    def stream_nowait(
        self, receiver: str | None = None, serde: Serde = _OPAQUE, timeout: float | None = None
    ) -> Proxy:
        """As `stream`, without waiting for each item to run; waits while the pipe is full."""
        return self._stream_nowait.fresh(None, receiver, serde)

    def wait_for_members(
        self, *names: str, timeout: float | None = None, interval: float = 1.0
    ) -> None:
        """Return when all of them are there; `TimeoutError` otherwise.

        The server may be named too, a Router as well, though `members()` does not list it.
        `interval` is not used: the server tells.
        """
        if not names or not all(isinstance(name, str) for name in names):
            raise TypeError("wait_for_members takes names: wait_for_members('a', 'b')")
        for name in names:
            check_name("a member", name)
        self._engine.wait_for_members(names, check_timeout(timeout))

    def wait_for_function(self, name: str, timeout: float | None = None) -> None:
        """Return when somebody offers the function; `TimeoutError` otherwise."""
        if not isinstance(name, str):
            raise TypeError(f"wait_for_function takes a name, not {type(name).__name__}")
        check_name("a function", name)
        self._engine.wait_for_function(name, check_timeout(timeout))

    def members(self) -> list[Member]:
        """Everybody on the network and what they offer, asked of the server now.

        Every client, this one included, and a Service; not a Router, which offers nothing.
        """
        return self._client.members()

    def close(self) -> None:
        """The same as `stop()` of the client."""
        self._client.stop()

    def __enter__(self) -> ClientConnection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<connection of {self._client.info}>"


def _mailbox(workers: int | None) -> _native.Mailbox:
    return _native.Mailbox(1 if workers is None else node.whole("workers", workers, 1))

"""The blocking world: `Router`, `Service`, `Client` and its connection.

Nothing but waiting: what a node is made from is in `kinds`, what all nodes share in `life`, calls
are packed in `remote`, callbacks run in `dispatch`, and everything that takes time happens in the
engine, where every wait hears signals. Imports the engine and all of those; no other world's
front.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from daffi import _native, node
from daffi.dispatch import Dispatcher, current_job, inside, settle
from daffi.exceptions import InitializationError
from daffi.formats import SerdeFormat
from daffi.kinds import ClientKind, RouterKind, ServiceKind
from daffi.life import Node
from daffi.node import Member
from daffi.presence import ThreadPresence
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
    check_name,
    check_timeout,
)
from daffi.streams import bind_stream, bind_stream_nowait

_PICKLE = SerdeFormat.PICKLE
_OPAQUE = SerdeFormat.OPAQUE
_ServerSelf = TypeVar("_ServerSelf", bound="_Server")


class _Blocking(Node):
    """Waits with the thread that asks."""

    _presence_kind = ThreadPresence

    @classmethod
    def _dispatch(cls, name: str, workers: int | None) -> Dispatcher:
        most = 1 if workers is None else node.whole("workers", workers, 1)
        return Dispatcher(name, _native.Mailbox(most))

    def members(self) -> list[Member]:
        """Everybody on the network and what they offer, asked of the server now.

        That is every client, this one included, and a Service, which runs callbacks as they
        do; not a Router, which offers nothing. `TimeoutError` when a client's server does not
        answer in 10 s.
        """
        self._birth.check()
        return node.members(self._engine.members())

    def join(self) -> None:
        """Wait until the node is stopped.

        In the main thread SIGINT and SIGTERM stop it too, and `join` returns normally; the
        handlers that were there before are put back first, so that a second Ctrl-C interrupts
        the stopping. A client that can't come back raises `Disconnected` or `Evicted`.
        """
        self._birth.check()
        if not self._up:
            raise InitializationError(f"{self.info}; {self._opened_by} it first")
        if threading.current_thread() is not threading.main_thread():
            while not self._engine.join(None):
                pass
            return
        import signal

        heard: list[int] = []
        before: dict[signal.Signals, Any] = {}

        def hear(number: int, _: object) -> None:
            heard.append(number)

        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not None:  # else it could not be put back
                    before[number] = signal.signal(number, hear)
            while not heard and not self._engine.join(0.1):
                pass
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if heard:
            self.stop()

    def stop(self) -> None:
        """Take no new calls, finish those that run, send what is queued, close.

        That takes at most 10 s. May be called again, from any thread; from a callback of this
        node it returns at once, and the rest happens when the callback is done.
        """
        self._birth.check()
        if self._dispatcher is not None and self._dispatcher.is_running_caller():
            name = f"daffi-{self._name}-stop"
            threading.Thread(target=self._stop, name=name, daemon=True).start()
        else:
            self._stop()

    def _stop(self) -> None:
        self._is_to_stop()
        try:
            self._engine.stop(node.DRAIN)
        finally:
            if self._dispatcher is not None:
                self._dispatcher.close()

    def _begin(self, open: Callable[[], None]) -> None:
        """Open the connection or the port, once."""
        with self._beginning:
            if not self._may_begin():
                self._engine.join(0)  # raises what ended it for good, if something has
                return
            try:
                open()
            except BaseException:
                self._has_not_begun()
                raise
            self._has_begun()


class _Server(_Blocking):
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
        self._begin(self._engine.start)

    def __enter__(self: _ServerSelf) -> _ServerSelf:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


class Router(RouterKind, _Server):
    """The hub: clients and workers connect to it, and it carries calls between them.

    It runs no callbacks and opens no payload. With no address it listens on 127.0.0.1 and a
    free port, which is `.port` after `start()`.
    """


class Service(ServiceKind, _Server):
    """A server that runs callbacks itself: clients connect to it and call them.

    `workers` is how many callbacks may run at once; `expose` the functions, or names, that it
    offers, all that are registered where it is None. A callback that calls on may be called back
    by what it called, with one worker too; two unrelated calls that wait for each other's workers
    wait until one of them times out.
    """


class Client(ClientKind, _Blocking):
    """Connects to a Service or a Router, and calls; through a Router it may be called too.

    `connect()`, or `with`, gives the `ClientConnection` that calls go through.
    """

    _connection: ClientConnection | None = None

    def connect(self, wait: float | None = None) -> ClientConnection:
        """Connect and greet; returns the connection, the same one when it is up already.

        By then the server knows what this client offers: whoever is connected can be called.
        `wait` seconds long a server that is not up yet is tried again. `InitializationError`,
        with address and reason, when it can't be reached; `AuthenticationError` when one side
        does not know the other's token.
        """
        seconds = node.seconds("wait", wait)
        self._begin(lambda: self._engine.connect(seconds))
        if self._connection is None:
            self._connection = ClientConnection(self, self._engine, self._default_timeout)
        return self._connection

    def __enter__(self) -> ClientConnection:
        return self.connect()

    def __exit__(self, *exc: object) -> None:
        self.stop()


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
        self._rpc = Style(way, bind_rpc, default=default).kept
        self._rpc_nowait = Style(way, bind_rpc_nowait, timed=False).kept
        self._cast = Style(way, bind_cast, many=True, default=default).kept
        self._cast_nowait = Style(way, bind_cast_nowait, many=True, timed=False).kept
        self._stream = Style(way, bind_stream, default=default).fresh
        self._stream_nowait = Style(way, bind_stream_nowait, timed=False).fresh

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
        return self._stream(timeout, receiver, serde)

    def stream_nowait(
        self, receiver: str | None = None, serde: Serde = _OPAQUE, timeout: float | None = None
    ) -> Proxy:
        """As `stream`, without waiting for each item to run; waits while the pipe is full."""
        return self._stream_nowait(None, receiver, serde)

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

    def server_stats(self) -> dict[str, Any]:
        """What the server counts now, as its own `stats()` has it there.

        `TimeoutError` when it does not answer in 10 s.
        """
        found: dict[str, Any] = self._engine.server_stats()
        return found

    def close(self) -> None:
        """The same as `stop()` of the client."""
        self._client.stop()

    def __enter__(self) -> ClientConnection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<connection of {self._client.info}>"

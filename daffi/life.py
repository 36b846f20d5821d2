"""The life of a blocking node: it begins, announces, is joined, tells of others, stops.

What all three kinds of nodes have in common; the kinds are in `sync`. No option is checked and
no call is made here. The engine is given to it. Imports `node`, `dispatch`, `presence`,
`registry` and `exceptions`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from daffi import node
from daffi.dispatch import Dispatcher
from daffi.exceptions import InitializationError
from daffi.node import Member
from daffi.presence import Handler, Presence, Source
from daffi.registry import registry

_F = TypeVar("_F", bound=Callable[..., Any])


class Engine(Source, Protocol):
    """What the engine's client and server have in common."""

    def announce(self, functions: Sequence[node.Function]) -> None: ...
    def members(self) -> list[tuple[str, list[node.Function]]]: ...
    def stats(self) -> dict[str, Any]: ...
    def join(self, timeout: float | None) -> bool: ...
    def stop(self, timeout: float) -> None: ...


class Node:
    """What a Router, a Service and a Client have in common.

    A node that merely exists has opened nothing. It belongs to the process that made it: in a
    forked child every method raises `ForkedError`.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        address: node.Address,
        dispatcher: Dispatcher | None,
        expose: Iterable[object] | None,
    ) -> None:
        self._birth = node.Birth()
        self._engine = engine
        self._name = name
        self._address = address
        self._dispatcher = dispatcher
        self._exposed = registry.names(expose)
        self._beginning = threading.Lock()
        self._announcing = threading.Lock()
        self._up = False
        self._stopped = False
        self._presence = Presence(engine, name, self.server_name)

    @property
    def app_name(self) -> str:
        """The name of this node on the network."""
        return self._name

    @property
    def host(self) -> str | None:
        """The TCP host that it was given; None on a Unix socket."""
        return self._address[1] if self._address[0] == "tcp" else None

    @property
    def port(self) -> int | None:
        """The TCP port, on a server the one it has once it is up; None on a Unix socket."""
        return self._address[2] if self._address[0] == "tcp" else None

    @property
    def info(self) -> str:
        """One line for people: kind, name, address, state."""
        kind, where, _ = self._address
        state = "stopped" if self._stopped else "up" if self._up else "not started"
        address = node.shown((kind, where, self.port or 0))
        return f"{type(self).__name__} {self._name!r} at {address}, {state}"

    def __repr__(self) -> str:
        return f"<{self.info}>"

    def members(self) -> list[Member]:
        """Everybody on the network and what they offer, asked of the server now.

        That is every client, this one included, and a Service, which runs callbacks as they
        do; not a Router, which offers nothing. `TimeoutError` when a client's server does not
        answer in 10 s.
        """
        self._birth.check()
        return node.members(self._engine.members())

    def stats(self) -> dict[str, Any]:
        """Gauges and counters of this node: connections, calls in flight, queued, bytes."""
        self._birth.check()
        return self._engine.stats()

    def add_event_handler(self, handler: Handler) -> Handler:
        """Call `handler({"type": "connected" | "disconnected", "member": name})`.

        Any number of handlers, at any time; they run one after another, in the order of their
        registration, never more than one at a time. A handler hears "connected" for everyone
        who is there already. One that raises is logged. Returns `handler`.
        """
        self._birth.check()
        if not callable(handler):
            raise TypeError(f"an event handler is a function, not {type(handler).__name__}")
        import inspect

        if inspect.iscoroutinefunction(handler):
            raise TypeError("an async event handler needs an asyncio node; pass a plain function")
        self._presence.add(handler)
        return handler

    def on_member_added(self, function: _F) -> _F:
        """Call `function(name)` for everyone who is there or comes; works as a decorator."""
        self._on("connected", function)
        return function

    def on_member_removed(self, function: _F) -> _F:
        """Call `function(name)` for everyone who goes; works as a decorator."""
        self._on("disconnected", function)
        return function

    def _on(self, kind: str, function: Callable[[str], Any]) -> None:
        def handler(event: dict[str, str]) -> None:
            if event["type"] == kind:
                function(event["member"])

        self.add_event_handler(handler)

    def join(self) -> None:
        """Wait until the node is stopped.

        In the main thread SIGINT and SIGTERM stop it too, and `join` returns normally; the
        handlers that were there before are put back first, so that a second Ctrl-C interrupts
        the stopping. A client that can't come back raises `Disconnected` or `Evicted`.
        """
        self._birth.check()
        if not self._up:
            raise InitializationError(f"{self.info}: there is nothing to wait for yet")
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
        self._stopped = True
        registry.unlisten(self._announce)
        try:
            self._engine.stop(node.DRAIN)
        finally:
            if self._dispatcher is not None:
                self._dispatcher.close()

    def begin(self, open: Callable[[], None]) -> None:
        """Announce our functions and open the connection or the port, once."""
        self._birth.check()
        with self._beginning:
            if self._stopped:
                raise InitializationError(f"{self.info}; make a new one")
            if self._up:
                self._engine.join(0)  # raises what ended it for good, if something has
                return
            if self._dispatcher is not None:
                registry.listen(self._announce)
                self._announce()
            try:
                open()
            except BaseException:
                registry.unlisten(self._announce)
                raise
            self._up = True
            if self._dispatcher is not None:
                self._dispatcher.start()

    def _announce(self) -> None:
        if self._dispatcher is None or self._stopped:
            return
        with self._announcing:
            offered = registry.select(self._exposed).values()
            self._dispatcher.offer(offered)
            self._engine.announce([(c.name, c.signature, c.summary) for c in offered])
            if self._up:
                self._dispatcher.start()

    def server_name(self) -> str | None:
        """Whom all others are known from; itself, on a server."""
        return self._name

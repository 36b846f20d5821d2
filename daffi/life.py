"""What all nodes have in common, in every world: names, announcing, telling of others.

The three kinds are in `kinds`, and how a world waits is in its own front: nothing here takes
time. No option is checked and no call is made here. Imports `address`, `node`, `dispatch`,
`presence`, `registry` and `exceptions`.
"""

from __future__ import annotations

import abc
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from daffi import node
from daffi._native import Completions
from daffi.address import Address
from daffi.dispatch import Dispatcher
from daffi.exceptions import InitializationError
from daffi.presence import Handler, Presence, Source
from daffi.registry import registry

_F = TypeVar("_F", bound=Callable[..., Any])


class Engine(Source, Protocol):
    """What the engine's client and server have in common.

    Without `completions` these wait; with them they give what that loop awaits.
    """

    def announce(self, functions: Sequence[node.Function]) -> None: ...
    def members(self, completions: Completions | None = None) -> Any: ...
    def stats(self) -> dict[str, Any]: ...
    def join(self, timeout: float | None, completions: Completions | None = None) -> Any: ...
    def stop(self, timeout: float, completions: Completions | None = None) -> Any: ...
    def abandon(self) -> None: ...


class Node(abc.ABC):
    """What a Router, a Service and a Client have in common.

    A node that merely exists has opened nothing. It belongs to the process that made it: in a
    forked child every method raises `ForkedError`.

    `token`, or `DAFFI_TOKEN`, is a secret that both sides of a connection prove to know.
    `allow_pickle` says whether pickles are read; None leaves it to who sends them: those on
    this machine may, and who has proven something.
    """

    _presence_kind: type[Presence]
    _opened_by: str  # what its user does first: start or connect

    def __init__(
        self,
        engine: Engine,
        name: str,
        address: Address,
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
        self._beginners = 0  # how many open it at the moment, of which one may succeed
        self._up = False
        self._stopped = False
        self._presence = self._presence_kind(engine, name, self.server_name)

    @property
    def app_name(self) -> str:
        """The name of this node on the network."""
        return self._name

    @property
    def host(self) -> str | None:
        """The TCP host that it was given; None on a Unix socket."""
        return self._address.host

    @property
    def port(self) -> int | None:
        """The TCP port, on a server the one it has once it is up; None on a Unix socket."""
        return self._address.port if self._address.host else None

    @property
    def info(self) -> str:
        """One line for people: kind, name, address, state."""
        state = "stopped" if self._stopped else "up" if self._up else "not started"
        address = self._address._replace(port=self.port or 0)
        return f"{type(self).__name__} {self._name!r} at {address}, {state}"

    def __repr__(self) -> str:
        if not hasattr(self, "_presence"):  # shown with an error of its constructor
            return f"<{type(self).__name__} that could not be made>"
        return f"<{self.info}>"

    def stats(self) -> dict[str, Any]:
        """Gauges and counters of this node, as a dict.

        What there is now: `connections`, `members`, `calls_in_flight`, `running`, `queued`,
        `streams`, `transfers`, `bytes_queued`; `bytes_sent` and `bytes_received` over the
        connections that are up. What has ended since the start: `calls`, `errors`, and in
        `functions` both by name, of those that ran here; on a
        Router, of those that it passed on. A server also has its `uptime` in seconds, and
        `by_member`: of each the calls under way and queued, its bytes and its functions.
        """
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
        def handler(event: dict[str, str]) -> Any:
            return function(event["member"]) if event["type"] == kind else None

        self._presence.check(function)
        self.add_event_handler(handler)

    @classmethod
    @abc.abstractmethod
    def _dispatch(cls, name: str, workers: int | None) -> Dispatcher:
        """Whoever runs the callbacks of a node of this world."""

    def _may_begin(self) -> bool:
        """Whether it is to be opened now; False when it is up. `InitializationError` at the end.

        From here on it announces its functions.
        """
        self._birth.check()
        if self._stopped:
            raise InitializationError(f"{self.info}: it does not begin again; make a new one")
        if self._up:
            return False
        if self._dispatcher is not None:
            registry.listen(self._announce)
            self._announce()
        with self._announcing:
            self._beginners += 1
        return True

    def _has_begun(self) -> None:
        with self._announcing:
            self._beginners -= 1
            self._up = True
        if self._dispatcher is not None:
            self._dispatcher.start()

    def _has_not_begun(self) -> None:
        with self._announcing:
            self._beginners -= 1
            if self._up or self._beginners:
                return  # somebody else has begun it, or still may
            if self._dispatcher is not None:
                self._dispatcher.offer(())  # what it offers may refer to it
        registry.unlisten(self._announce)

    def _is_to_stop(self) -> None:
        self._stopped = True
        registry.unlisten(self._announce)

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

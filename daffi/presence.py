"""Who came and who went: the event handlers of one node.

The engine replays everybody who is there to the first handler; a handler that is added later
hears the same from the set kept here. Nothing but telling handlers lives here. Imports nothing
of ours: it is given what it reads from.
"""

from __future__ import annotations

import abc
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from daffi._native import Completions
from daffi.log import Logger

_log = Logger("daffi.presence")

Handler = Callable[[dict[str, str]], Any]


class Source(Protocol):
    """What events are read from: the engine's client or server."""

    def watch(self) -> None: ...
    def next_event(self, completions: Completions | None = None) -> Any: ...


class Presence(abc.ABC):
    """Handlers in the order of their registration, and the members that are there.

    How events are waited for, and how a handler is called, is a matter of the world.
    """

    def __init__(self, source: Source, name: str, server: Callable[[], str | None]) -> None:
        self._source = source
        self._name = name
        self._server = server
        self._lock = threading.Lock()
        self._handlers: tuple[Handler, ...] = ()
        self._present: dict[str, None] = {}
        self._waiting: deque[tuple[tuple[Handler, ...], str, str]] = deque()
        self._telling = False

    def check(self, handler: Callable[..., Any]) -> None:
        """`TypeError` for a handler that this world can't call."""
        if not callable(handler):
            raise TypeError(f"an event handler is a function, not {type(handler).__name__}")

    def add(self, handler: Handler) -> None:
        """Tell this one too, of those who are there first."""
        self.check(handler)
        with self._lock:
            first = not self._handlers
            self._handlers += (handler,)
            self._waiting.extend(((handler,), "connected", name) for name in self._present)
        if first:
            self._source.watch()
            self._begin()
        else:
            self._wake()

    @abc.abstractmethod
    def _begin(self) -> None:
        """Read events from now on."""

    @abc.abstractmethod
    def _wake(self) -> None:
        """There is something to tell, though no event has come."""

    def _note(self, event: tuple[str, str]) -> None:
        kind, member = event
        with self._lock:
            if kind == "connected":
                self._present[member] = None
            else:
                self._present.pop(member, None)
                if member == self._server():
                    self._present.clear()  # nobody is known to be there without it
            self._waiting.append((self._handlers, kind, member))

    def _next(self) -> tuple[tuple[Handler, ...], str, str] | None:
        """Whom to tell what; None when all was told, and the teller may go."""
        with self._lock:
            if not self._waiting:
                self._telling = False
                return None
            return self._waiting.popleft()

    def _may_tell(self) -> bool:
        """Whether nobody else is at it, who then goes on."""
        with self._lock:
            telling, self._telling = self._telling, True
            return not telling


class ThreadPresence(Presence):
    """One daemon thread reads the events, from the first handler on.

    Handlers run one at a time, with no lock held; one that raises is logged.
    """

    def check(self, handler: Callable[..., Any]) -> None:
        """`TypeError` for a handler that this world can't call."""
        super().check(handler)
        import inspect

        if inspect.iscoroutinefunction(handler):
            raise TypeError(
                "an async event handler needs a node of daffi.aio or daffi.trio;"
                " pass a plain function"
            )

    def _begin(self) -> None:
        name = f"daffi-{self._name}-events"
        threading.Thread(target=self._read, name=name, daemon=True).start()

    def _read(self) -> None:
        while True:
            event = self._source.next_event()
            if event is None:
                return
            self._note(event)
            del event
            self._wake()

    def _wake(self) -> None:
        if not self._may_tell():
            return
        while (told := self._next()) is not None:
            handlers, kind, member = told
            for handler in handlers:
                try:
                    handler({"type": kind, "member": member})
                except Exception:
                    log_raised(kind, member)
                except BaseException:
                    with self._lock:
                        self._telling = False
                    raise


def log_raised(kind: str, member: str) -> None:
    """Say that a handler raised what is being handled now."""
    _log.exception("an event handler raised when it heard %r of %r; it goes on", kind, member)

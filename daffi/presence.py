"""Who came and who went: the event handlers of one node.

The engine replays everybody who is there to the first handler; a handler that is added later
hears the same from the set kept here. Nothing but telling handlers lives here. Imports nothing
of ours: it is given what it reads from.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

_log = logging.getLogger("daffi.presence")

Handler = Callable[[dict[str, str]], Any]


class Source(Protocol):
    """What events are read from: the engine's client or server."""

    def watch(self) -> None: ...
    def next_event(self) -> tuple[str, str] | None: ...


class Presence:
    """Handlers in the order of their registration, and the members that are there.

    One daemon thread reads the events, from the first handler on. Handlers run one at a time,
    with no lock held; one that raises is logged.
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

    def add(self, handler: Handler) -> None:
        """Tell this one too, of those who are there first."""
        with self._lock:
            first = not self._handlers
            self._handlers += (handler,)
            self._waiting.extend(((handler,), "connected", name) for name in self._present)
        if first:
            self._source.watch()
            name = f"daffi-{self._name}-events"
            threading.Thread(target=self._read, name=name, daemon=True).start()
        else:
            self._tell()

    def _read(self) -> None:
        while True:
            event = self._source.next_event()
            if event is None:
                return
            kind, member = event
            with self._lock:
                if kind == "connected":
                    self._present[member] = None
                else:
                    self._present.pop(member, None)
                    if member == self._server():
                        self._present.clear()  # nobody is known to be there without it
                self._waiting.append((self._handlers, kind, member))
            del event
            self._tell()

    def _tell(self) -> None:
        """Call the handlers for what waits, unless another thread is at it: that goes on."""
        with self._lock:
            if self._telling:
                return
            self._telling = True
        while True:
            with self._lock:
                if not self._waiting:
                    self._telling = False
                    return
                handlers, kind, member = self._waiting.popleft()
            for handler in handlers:
                try:
                    handler({"type": kind, "member": member})
                except Exception:
                    _log.exception("an event handler raised at %r of %r", kind, member)
                except BaseException:
                    with self._lock:
                        self._telling = False
                    raise

"""The exit of the interpreter: what of ours ends then, in which order.

First the coroutines, which may still call, then the nodes. The one atexit hook of ours is here.
Imports `exceptions`.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from enum import IntEnum

from daffi.exceptions import DaffiError


class Turn(IntEnum):
    """Whose turn it is."""

    COROUTINES = 1
    NODES = 2


_steps: dict[Turn, Callable[[], None]] = {}


def at_exit(turn: Turn, step: Callable[[], None]) -> None:
    """Have `step()` called when it is its turn; once, however often this is said."""
    if not _steps:
        atexit.register(_leave)
    _steps[turn] = step


def _leave() -> None:
    _hush()
    for _, step in sorted(_steps.items()):
        step()


def _hush() -> None:
    """Calls of daemon threads fail now. That is news to nobody: no traceback tells of it."""
    told = threading.excepthook

    def tell(raised: threading.ExceptHookArgs) -> None:
        daemon = raised.thread is not None and raised.thread.daemon
        if not (daemon and isinstance(raised.exc_value, DaffiError)):
            told(raised)

    threading.excepthook = tell

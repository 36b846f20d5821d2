"""SIGINT and SIGTERM, for whoever waits for the end of a node on an event loop.

Any number of nodes may be joined at once. The handlers are ours from the first of them to the
last, and then those that were there before. Nothing about nodes or loops may live here. Imports
nothing of ours.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

_told: list[Callable[[], object]] = []
_before: dict[signal.Signals, Any] = {}


def _hear(*_: object) -> None:
    for tell in tuple(_told):
        tell()


@contextlib.contextmanager
def heard(tell: Callable[[], object]) -> Iterator[None]:
    """Call `tell()` when a signal comes, in the main thread; in others none ever does.

    It is called from a signal handler, between any two steps of the program.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _told.append(tell)
    try:
        if not _before:
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not None:  # else it could not be put back
                    _before[number] = signal.signal(number, _hear)
        yield
    finally:
        _told.remove(tell)
        if not _told:
            for number, handler in _before.items():
                signal.signal(number, handler)
            _before.clear()

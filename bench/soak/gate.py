"""Holding all lanes of a caller, and letting them go.

Lives here: the gate, and what the lanes report. Imports nothing of ours.
"""

import threading
from collections import Counter


class Gate:
    """Where lanes wait between two calls while the parent looks at idle nodes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = False
        self._lanes = 0
        self._waiting = 0

    def join(self) -> None:
        """Count one more lane; it calls `wait` from now on."""
        with self._changed:
            self._lanes += 1

    def wait(self) -> None:
        """Pass if the gate is open, else stay until it is."""
        if self._open:
            return
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._open)
            self._waiting -= 1

    @property
    def closing(self) -> bool:
        """Whether lanes are asked to settle and wait."""
        return not self._open

    def release(self) -> None:
        """Open the gate."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def hold(self, timeout: float) -> bool:
        """Close the gate; whether every lane came to it in time."""
        with self._changed:
            self._open = False
            return self._changed.wait_for(lambda: self._waiting == self._lanes, timeout)


class Tally:
    """What one lane did, and what went wrong; written by that lane alone."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.total = 0
        self.problems: list[str] = []

    def add(self, kind: str) -> None:
        """Count one call."""
        self.done[kind] += 1
        self.total += 1

    def wrong(self, what: str) -> None:
        """Note something that must not happen; the first twenty are kept."""
        self.add("wrong")
        if len(self.problems) < 20:
            self.problems.append(what)

"""Gates: callbacks that stop inside, so that a test can look at a call while it runs.

`gate = new_gate()` here and `conn.rpc().hold(gate.key)` there: the callback notes that it
was entered and waits until `gate.open()`. Works where the worker lives in the test's own
process; programs have gates of their own, which they tell about on their output.
Imports `daffi` and `loops`.
"""

from __future__ import annotations

import itertools
import threading
from typing import Any

from loops import Flag, cancelled

from daffi import callback, current_call

_keys = itertools.count(1)
_gates: dict[int, Gate] = {}


class Gate:
    """What happened to the calls that were made with its key."""

    def __init__(self) -> None:
        self.key = next(_keys)
        self.entered = 0
        self.left = 0
        self.cancelled = 0
        self.most = 0  # inside at the same time
        self.threads: set[int] = set()
        self.notes: list[Any] = []
        self._lock = threading.Lock()
        self._open = Flag()

    def open(self) -> None:
        """Let everybody out, now and later."""
        self._open.set()

    @property
    def inside(self) -> int:
        """How many calls are in the callback now."""
        return self.entered - self.left

    def enter(self) -> None:
        with self._lock:
            self.entered += 1
            self.most = max(self.most, self.inside)
            self.threads.add(threading.get_ident())

    def leave(self) -> None:
        with self._lock:
            self.left += 1

    def wait(self) -> None:
        if not self._open.wait(30):
            raise AssertionError("nobody opened the gate")

    async def wait_here(self) -> None:
        if not await self._open.wait_here(30):
            raise AssertionError("nobody opened the gate")


def new_gate() -> Gate:
    """A closed gate."""
    gate = Gate()
    _gates[gate.key] = gate
    return gate


def open_gates() -> None:
    """Open all that a test left closed."""
    for gate in list(_gates.values()):
        gate.open()
    _gates.clear()


def gate_of(key: int) -> Gate:
    """The gate with that key; one that is open where a test has ended meanwhile."""
    gate = _gates.get(key)
    if gate is None:
        gate = Gate()
        gate.open()
    return gate


@callback
def hold(key: int, result: Any = None) -> Any:
    """Wait at the gate on a thread."""
    gate = gate_of(key)
    gate.enter()
    try:
        gate.wait()
        return result
    finally:
        gate.leave()


@callback
async def hold_async(key: int, result: Any = None) -> Any:
    """Wait at the gate in a coroutine."""
    gate = gate_of(key)
    gate.enter()
    try:
        await gate.wait_here()
        return result
    except cancelled():
        gate.cancelled += 1
        raise
    finally:
        gate.leave()


@callback
def note(key: int, value: Any) -> None:
    """Keep a value for the test to look at."""
    gate_of(key).notes.append(value)


@callback
def note_deadline(key: int) -> None:
    """Keep the deadline of this call."""
    gate_of(key).notes.append(current_call().deadline)

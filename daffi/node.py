"""What the nodes of every world share: options, names, members.

Options are checked here, before anything is opened, and every refusal says what to pass
instead. Where a node is found is `address`' part, and whom it believes is `security`'s. Nothing
that waits, calls or runs callbacks may live here. Imports the engine (for forks and the end of
the process), `leaving` and `exceptions`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

from daffi import _native
from daffi.exceptions import ForkedError, InitializationError
from daffi.leaving import Turn, at_exit

MAX_MESSAGE = 1 << 30  # bytes
CONNECT_TIMEOUT = 10.0  # seconds
DRAIN = 10.0  # seconds that stop() gives to what is under way

Function = tuple[str, str, str]  # name, signature, first line of its documentation


class Offered(str):
    """The name of a function that a member offers, with its `signature` and `summary`."""

    __slots__ = ("signature", "summary")
    signature: str
    summary: str

    def __new__(cls, name: str, signature: str = "", summary: str = "") -> Offered:
        offered = super().__new__(cls, name)
        offered.signature = signature
        offered.summary = summary
        return offered

    def __reduce__(self) -> tuple[Any, ...]:
        return Offered, (str(self), self.signature, self.summary)


class Member(NamedTuple):
    """Somebody on the network, and the functions that it offers."""

    name: str
    functions: list[Offered]


def members(found: Iterable[tuple[str, list[Function]]]) -> list[Member]:
    """Members as users see them."""
    return [Member(name, [Offered(*function) for function in some]) for name, some in found]


class Birth:
    """The process that a node was made in: a fork of it may not use the node."""

    __slots__ = ("_forks",)

    def __init__(self) -> None:
        self._forks = _native.forks()
        at_exit(Turn.NODES, _native.shutdown)

    def check(self) -> None:
        """Raise `ForkedError` in a child of that process."""
        if _native.forks() != self._forks:
            raise ForkedError(
                "this node belongs to the parent process; make a new one in the child"
            )


# Names and numbers


def app_name(name: Any) -> str:
    """The name given, checked, or one made of the host's name and a random suffix."""
    if name is None:
        return f"{_host_name()[:200] or 'node'}-{os.urandom(4).hex()}"
    if not isinstance(name, str):
        raise InitializationError(f"app_name is a str, not {type(name).__name__}")
    if not name.isprintable() or not 1 <= len(name.encode("utf-8", "replace")) <= 255:
        raise InitializationError(
            f"app_name is 1 to 255 bytes of printable text, not {name[:300]!r}"
        )
    return name


def _host_name() -> str:
    if sys.platform == "win32":
        return os.environ.get("COMPUTERNAME", "")
    return os.uname().nodename


_FOR_EVER = 1e9  # seconds, thirty years


def seconds(option: str, value: Any) -> float | None:
    """A time-out; None and infinity are for ever."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InitializationError(f"{option} is a number of seconds or None, not {value!r}")
    if not value >= 0:  # nor is NaN
        raise InitializationError(f"{option} can't be {value!r}: pass seconds, 0 or more, or None")
    return None if value >= _FOR_EVER else float(value)


_MOST = 1 << 62


def whole(option: str, value: Any, least: int) -> int:
    """A whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
        raise InitializationError(f"{option} is a whole number from {least}, not {value!r}")
    return value


def switch(option: str, value: Any, *, or_none: bool = False) -> bool | None:
    """True or False, or None where that means something."""
    if isinstance(value, bool) or (or_none and value is None):
        return value
    raise InitializationError(
        f"{option} is True{', False or None' if or_none else ' or False'}, not {value!r}"
    )


def one_of(option: str, value: str, choices: tuple[str, ...]) -> str:
    """One of a few words."""
    if value not in choices:
        raise InitializationError(f"{option} is {' or '.join(map(repr, choices))}, not {value!r}")
    return value

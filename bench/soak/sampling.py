"""What a child knows about itself, and its answers to the parent's questions.

Lives here: reading memory, descriptors, threads and the nodes' `stats()`. Linux only, for
`/proc`. Imports `talk`.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bench import talk


class Node(Protocol):
    """Anything with `stats()`: Router, Service, Client."""

    def stats(self) -> dict[str, Any]: ...


def sample(nodes: Mapping[str, Node]) -> dict[str, Any]:
    """Resident bytes, descriptors, threads, and every number of `stats()` by node."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        pages = int(statm.read().split()[1])
    return {
        "rss": pages * os.sysconf("SC_PAGE_SIZE"),
        "fds": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "stats": {
            f"{name}.{key}": value
            for name, node in nodes.items()
            for key, value in node.stats().items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        },
    }


def answer_for_ever(answers: Mapping[str, Callable[[], dict[str, Any]]]) -> None:
    """Answer each word of the parent with one line, until the parent ends us."""
    while True:
        talk.say(**answers[talk.hear()]())

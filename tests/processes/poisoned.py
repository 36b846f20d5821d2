"""A Router in a process that dies of every pickle.

    poisoned.py

Prints `ready URL`. On the line `bite` it reads one itself, to show that it would die of it;
ends with its input.
"""

from __future__ import annotations

import _pickle
import os
import pickle
import sys
from typing import Any, NoReturn

import cloudpickle
from telling import say

from daffi import Router

DEAD = 99


def die(*_: Any, **__: Any) -> NoReturn:
    os._exit(DEAD)


def poison() -> None:
    """Whoever reads a pickle, in whatever way, ends the process."""

    def hear(event: str, _: Any) -> None:
        if event.startswith("pickle."):
            die()

    sys.addaudithook(hear)
    for module in (pickle, _pickle, cloudpickle):
        for name in ("loads", "load", "Unpickler", "_Unpickler", "_loads", "_load"):
            if hasattr(module, name):
                setattr(module, name, die)


def main() -> None:
    with Router("router") as router:
        poison()
        say("ready", f"tcp://127.0.0.1:{router.port}")
        for line in sys.stdin:
            if line.strip() == "bite":
                pickle.loads(b"\x80\x05N.")
        say("left")


main()

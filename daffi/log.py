"""Loggers of `logging`, which is imported when there is something to say: it takes a sixth of the
time that `import daffi` would take with it.

Lives here: nothing but the name of a logger. Imports nothing of ours.
"""

from __future__ import annotations

from typing import Any


class Logger:
    """Stands for the logger of that name, with its methods."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        import logging

        return getattr(logging.getLogger(self._name), method)

"""The child's end of the conversation with the parent: JSON lines out, words in.

Lives here: the pipe to the parent, nothing about calls. Imports nothing of ours.

Standard output belongs to the conversation; whatever else a program prints goes to standard
error. When the parent closes our standard input, or dies, the child ends at once: no child
outlives the program that started it.
"""

import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

_line: TextIO | None = None
_one_at_a_time = threading.Lock()
_heard: queue.SimpleQueue[str] = queue.SimpleQueue()
_last_words: list[Callable[[], object]] = []


def open_line() -> None:
    """Take standard output for ourselves and start to listen. Call it once, first."""
    global _line
    _line = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    threading.Thread(target=_listen, name="talk", daemon=True).start()


def _listen() -> None:
    for word in sys.stdin:
        _heard.put(word.strip())
    for work in _last_words:
        work()
    os._exit(0)


def before_the_end(work: Callable[[], object]) -> None:
    """Have something done before the child ends: another process ended, say."""
    _last_words.append(work)


def say(**facts: Any) -> None:
    """Tell the parent; safe from any thread."""
    if _line is None:
        raise RuntimeError("open_line() comes first")
    with _one_at_a_time:
        _line.write(json.dumps(facts) + "\n")
        _line.flush()


def figure(value: float, version: str, cpu: dict[str, float] | None = None) -> None:
    """Tell the parent what was measured, and with what: microseconds of CPU are by role."""
    say(value=value, version=version, python=sys.version.split()[0], cpu=cpu or {})


def hear() -> str:
    """Wait for the next word of the parent."""
    return _heard.get()


def listen_for_ever() -> NoReturn:
    """Stay until the parent ends us."""
    while True:
        threading.Event().wait()

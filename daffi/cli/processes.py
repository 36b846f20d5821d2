"""Several processes that do the same, watched over: started again when they die or change.

A child is this program with the same arguments, told its number in the environment. Its input
is a pipe whose other end is ours: when we are gone, however that came, it drains and ends.
Imports `endings`, `screen` and `serving`.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from daffi.cli import screen
from daffi.cli.endings import Exit
from daffi.cli.serving import SIGNALS

_NUMBER = "_DAFFI_PROCESS"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds before a process is started again
_STEADY = 10.0  # seconds after which one that dies counts as having worked
_HOPELESS = (Exit.USAGE, Exit.REFUSED, Exit.EVICTED)  # a second try would end the same way


def number() -> int | None:
    """Which child this process is; None for one that is none. Its own children are none."""
    told = os.environ.pop(_NUMBER, None)
    return None if told is None else int(told)


def end_with_parent() -> None:
    """Drain when the parent is gone. Its input is nothing else to a child."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="daffi-cli-parent", daemon=True).start()


class _Child:
    """One of the processes."""

    def __init__(self, number: int, command: Sequence[str]) -> None:
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
        self.due: float | None = 0.0  # when to start it
        self.again = False  # it was asked to end, to be started anew
        self.pause = _FIRST_PAUSE
        self._command = command
        self._started = 0.0

    def start(self, tell: queue.SimpleQueue[object]) -> None:
        """Start it, and have its end told."""
        self.due, self._started = None, time.monotonic()
        self.process = process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            env={**os.environ, _NUMBER: str(self.number)},
            start_new_session=True,  # Ctrl-C is for us: we pass it on
        )

        def wait() -> None:
            process.wait()
            tell.put(self)

        threading.Thread(target=wait, name=f"daffi-cli-{self.number}", daemon=True).start()

    def ended(self) -> int:
        """Note that it has; its exit code, negative for a signal."""
        assert self.process is not None and self.process.stdin is not None
        code = self.process.returncode
        self.process.stdin.close()
        self.process = None
        if time.monotonic() - self._started > _STEADY:
            self.pause = _FIRST_PAUSE
        return code

    def retry(self) -> float:
        """Start it again after a pause, longer each time; how long."""
        pause, self.pause = self.pause, min(self.pause * 2, _LONGEST_PAUSE)
        self.due = time.monotonic() + pause
        return pause

    def signal(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)


class Changed(tuple[str, ...]):
    """Files that were written."""

    __slots__ = ()


class Supervisor:
    """Keeps so many processes running until it is told to stop."""

    def __init__(self, count: int, arguments: Sequence[str], watched: Iterable[Path]) -> None:
        command = [sys.executable, "-m", "daffi", *arguments]
        self._children = [_Child(number, command) for number in range(1, count + 1)]
        self._watched = [str(folder) for folder in watched]
        self._events: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._ending: int | None = None  # the exit code, once it is to end

    def run(self) -> int:
        """Until a signal, or until there is no hope; the exit code."""
        for each in SIGNALS:
            signal.signal(each, lambda number, _: self._events.put(number))
        if self._watched:
            threading.Thread(target=self._watch, name="daffi-cli-reload", daemon=True).start()
        while self._ending is None or any(child.process for child in self._children):
            self._start_due()
            event = self._next()
            if isinstance(event, _Child):
                self._has_ended(event)
            elif isinstance(event, Changed):
                self._reload(event)
            elif isinstance(event, int) and self._stop(event):
                return 128 + event
        return self._ending

    def _start_due(self) -> None:
        for child in self._children:
            if child.due is not None and child.due <= time.monotonic() and self._ending is None:
                child.start(self._events)

    def _next(self) -> object:
        due = [child.due for child in self._children if child.due is not None]
        patience = max(0.0, min(due) - time.monotonic()) if due and self._ending is None else None
        try:
            return self._events.get(timeout=patience)
        except queue.Empty:
            return None

    def _has_ended(self, child: _Child) -> None:
        code = child.ended()
        if self._ending is not None:
            return
        if child.again:
            child.again, child.due = False, time.monotonic()
            return
        how = f"process {child.number} {_ended(code)}"
        if self._watched:
            screen.warn(f"{how}; it is started again when a file changes")
        elif code in _HOPELESS:
            screen.warn(f"{how}; so would the next one, stopping")
            self._end(code)
        else:
            screen.warn(f"{how}; started again in {child.retry():g} s")

    def _reload(self, files: Changed) -> None:
        if self._ending is not None:
            return
        screen.warn(f"{', '.join(files)} changed, starting again")
        for child in self._children:
            child.pause = _FIRST_PAUSE
            if child.process is None:
                child.due = time.monotonic()
            elif not child.again:  # a second signal would end it where it stands
                child.again = True
                child.signal(signal.SIGTERM)

    def _stop(self, number: int) -> bool:
        """The first signal drains; whether this one is the second."""
        if self._ending is None:
            screen.warn("stopping: calls may finish, once more ends it at once")
            self._end(Exit.DONE)
            return False
        for child in self._children:
            if child.process is not None:
                child.process.kill()
        return True

    def _end(self, code: int) -> None:
        self._ending = code
        for child in self._children:
            child.signal(signal.SIGTERM)

    def _watch(self) -> None:
        import watchfiles

        here = Path.cwd()
        for changes in watchfiles.watch(*self._watched, watch_filter=watchfiles.PythonFilter()):
            files = {Path(path) for _, path in changes}
            shown = (str(f.relative_to(here) if f.is_relative_to(here) else f) for f in files)
            self._events.put(Changed(sorted(shown)))


def _ended(code: int) -> str:
    if code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"ended with exit code {code}"

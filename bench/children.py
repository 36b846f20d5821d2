"""Starting child processes, talking to them, and ending every one of them.

Lives here: processes and pipes, nothing about what the children do. Imports nothing of ours.
"""

import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any

ENTRY = Path(__file__).resolve().parent / "child.py"


class ChildFailed(RuntimeError):
    """A child said that it failed, ended early, or said nothing in time."""


class Child:
    """One process that runs `role` under `python`."""

    def __init__(self, python: str, role: str, order: dict[str, Any]) -> None:
        self.role = role
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.process = subprocess.Popen(
            [python, str(ENTRY), json.dumps({**order, "role": role})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is ours to hear: we end the children
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        if self.process.stdout is not None:
            with self.process.stdout as lines:
                for line in lines:
                    self._lines.put(json.loads(line))
        self._lines.put(None)

    def hear(self, timeout: float) -> dict[str, Any]:
        """The next thing that the child says; raises `ChildFailed` instead of waiting longer."""
        try:
            facts = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise ChildFailed(
                f"{self.role} said nothing for {timeout:g} s{self.errors()}"
            ) from None
        if facts is None:
            raise ChildFailed(f"{self.role} ended early{self.errors()}")
        if "error" in facts:
            raise ChildFailed(f"{self.role}: {facts['error']}{self.errors()}")
        return facts

    def say(self, word: str) -> None:
        """Send the child one word."""
        if self.process.stdin is not None:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()

    def errors(self) -> str:
        """The end of what the child wrote to standard error, for a message."""
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace").strip()
        return f"\n{text[-2000:]}" if text else ""

    def dismiss(self) -> None:
        """Tell the child to end, without waiting."""
        if self.process.stdin is not None:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                return  # it has ended by itself

    def end(self, patience: float) -> None:
        """End the child within `patience` seconds, by force if need be."""
        self.dismiss()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        self._errors.close()


class Household:
    """Children that end together when the block ends, however it ends."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def __enter__(self) -> "Household":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in self._children:
            child.dismiss()
        limit = time.monotonic() + 3
        for child in self._children:
            child.end(max(0.0, limit - time.monotonic()))

    def start(self, python: str, role: str, order: dict[str, Any]) -> Child:
        """Start one more child."""
        child = Child(python, role, order)
        self._children.append(child)
        return child


def _environment() -> dict[str, str]:
    """Ours, without what would lead one side to the other's daffi or to another server."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("DAFFI_")
    }

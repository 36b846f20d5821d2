"""The processes of the demo: started, heard, and ended, whatever happens.

Each has a process group of its own, so that Ctrl-C reaches the demo alone, which then ends
them in order; and a pipe as its input, whose end tells it to stop even if the demo was killed.
Knows nothing of daffi and nothing of the screen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Failed(Exception):
    """Something did not go as the demo says it does."""


class Child:
    """One process."""

    def __init__(self, file: str, *args: str) -> None:
        self.name = args[-1] if args else file.removesuffix(".py")
        self._complaints = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / file), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self) -> str:
        """The next line; `Failed`, with what it complained about, when it ended instead."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait(5)
            self._complaints.seek(0)
            raise Failed(f"{self.name} ended with {code}\n{self._complaints.read()}")
        return line.rstrip("\n")

    def facts(self) -> Iterator[dict[str, Any]]:
        """What a caller says, until its result."""
        while True:
            fact: dict[str, Any] = json.loads(self.line())
            yield fact
            if "result" in fact:
                return

    def result(self) -> dict[str, Any]:
        """Only the result."""
        *_, last = self.facts()
        found: dict[str, Any] = last["result"]
        return found

    def kill(self) -> None:
        """As a power cut would."""
        self._process.kill()
        self._process.wait()

    def ask_to_end(self) -> None:
        """A node that hears SIGTERM finishes what runs, and returns from `join()`."""
        if self._process.poll() is None:
            self._process.terminate()

    def end(self, deadline: float) -> None:
        """Wait until `deadline` on the clock of `time.monotonic()`, then kill it."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._complaints.close()


class Company:
    """All of them."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self.port = ""

    def start(self, file: str, *args: str) -> Child:
        """Start one and do not wait for it."""
        child = Child(file, *args)
        self._children.append(child)
        return child

    def router(self) -> Child:
        """Start the Router, and learn which port it got."""
        router = self.start("router.py")
        self.port = router.line()
        return router

    def worker(self, name: str, file: str = "worker.py") -> Child:
        """Start a worker; its first line says that it is connected."""
        return self.start(file, self.port, name)

    def caller(self, act: str, file: str = "caller.py") -> Child:
        """Start a caller."""
        return self.start(file, self.port, act)

    def end(self) -> None:
        """Callers and workers first, the Router last; nobody is left after some seconds."""
        for some in (self._children[1:], self._children[:1]):
            deadline = time.monotonic() + 3
            for child in some:
                child.ask_to_end()
            for child in some:
                child.end(deadline)

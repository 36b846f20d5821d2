"""Real processes for tests: started, listened to, and ended by id.

A program in `processes/` prints one line per thing that happened, the first of which is
`ready`, and ends when its input does. Imports the standard library only.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO

HERE = Path(__file__).parent
FATAL = ("Fatal Python error", "panicked", "Segmentation fault", "core dumped", "Exception ignored")


class Program:
    """One process; its lines arrive in the order in which it printed them.

    `name` is a path, or a file in `processes/`; `-m` with the name of a module behind it.
    `within` is a command that runs another one: in a place of its own, say.
    """

    def __init__(
        self,
        name: str,
        *args: str,
        env: dict[str, str] | None = None,
        within: tuple[str, ...] = (),
    ) -> None:
        command = [
            *within,
            sys.executable,
            "-X",
            "faulthandler",
            name if name == "-m" else str(HERE / "processes" / name),
            *args,
        ]
        self.name = name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE), "PYTHONUNBUFFERED": "1", **(env or {})},
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._errors: list[str] = []
        assert self._process.stdout and self._process.stderr
        self._readers = [
            threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._collect, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _listen(self, out: IO[str]) -> None:
        for line in out:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _collect(self, err: IO[str]) -> None:
        self._errors.extend(err)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stderr(self) -> str:
        """What it has complained about so far."""
        return "".join(self._errors)

    def line(self, within: float = 20.0) -> str:
        """The next line; `AssertionError` when none comes."""
        try:
            line = self._lines.get(timeout=within)
        except queue.Empty:
            raise AssertionError(f"{self.name} says nothing\n{self.stderr}") from None
        if line is None:
            self._process.wait(5)
            self._lines.put(None)
            raise AssertionError(f"{self.name} ended: {self._process.returncode}\n{self.stderr}")
        return line

    def expect(self, word: str, within: float = 20.0) -> str:
        """The rest of the next line, which begins with `word`."""
        line = self.line(within)
        assert line.split(" ", 1)[0] == word, f"{word!r} expected, got {line!r}\n{self.stderr}"
        return line[len(word) + 1 :]

    def tell(self, line: str) -> None:
        """Write a line to its input."""
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def send_signal(self, number: int) -> float:
        """Send a signal; the time on the clock of `time.monotonic()`."""
        sent = time.monotonic()
        self._process.send_signal(number)
        return sent

    def kill(self) -> float:
        """End it as a power cut would; the time at which that was done."""
        sent = self.send_signal(signal.SIGKILL)
        self._process.wait(10)
        return sent

    def wait(self, within: float = 10.0) -> int:
        """Its exit code; `AssertionError` when it does not end."""
        try:
            code = self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end\n{self.stderr}") from None
        for reader in self._readers:
            reader.join(5)
        return code

    def leave(self, within: float = 15.0) -> int:
        """Close its input, which is the request to end; its exit code."""
        assert self._process.stdin
        self._process.stdin.close()
        return self.wait(within)

    def quiet(self) -> None:
        """Assert that nothing fatal was said on its error output."""
        said = self.stderr
        assert not any(word in said for word in FATAL), said

    def end(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        for reader in self._readers:
            reader.join(5)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue


class Programs:
    """All processes of a test."""

    def __init__(self) -> None:
        self._all: list[Program] = []

    def start(
        self,
        name: str,
        *args: str,
        env: dict[str, str] | None = None,
        within: tuple[str, ...] = (),
    ) -> Program:
        """Start a program and do not wait for it."""
        program = Program(name, *args, env=env, within=within)
        self._all.append(program)
        return program

    def ready(
        self,
        name: str,
        *args: str,
        env: dict[str, str] | None = None,
        within: tuple[str, ...] = (),
    ) -> Program:
        """Start a program and wait until it is ready."""
        program = self.start(name, *args, env=env, within=within)
        program.expect("ready")
        return program

    def serve(self, role: str, *args: str) -> tuple[Program, str]:
        """Start a router or a service on a free port; also the address to reach it."""
        program = self.start("serve.py", role, *args)
        return program, program.expect("ready")

    def __enter__(self) -> Programs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for program in reversed(self._all):
            program.end()

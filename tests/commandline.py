"""The command line as a user starts it: a process, its output, its exit code.

Nothing here knows what a command does. Imports `programs`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from programs import Program, Programs

FUNCTIONS = '''\
"""Functions that tests call."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from daffi import callback


@callback
def add(a: int, b: int) -> int:
    """Add two numbers.

    This line is not listed.
    """
    return a + b


@callback
def divide(a: float, b: float) -> float:
    return a / b


@callback
def back(*args: object, **kwargs: object) -> list[object]:
    return [list(args), kwargs]


@callback
def pid() -> int:
    return os.getpid()


@callback
def die() -> None:
    os._exit(3)


@callback
def hold(gate: str) -> str:
    """Wait until there is a file."""
    Path(gate + ".begun").touch()
    while not Path(gate).exists():
        time.sleep(0.01)
    return "held"


@callback
def shout(text: str) -> str:
    return text.upper()


def plain() -> str:
    return "no decorator"


class Counter:
    """An object of which methods are offered."""

    def __init__(self) -> None:
        self._count = 0

    def up(self, by: int = 1) -> int:
        self._count += by
        return self._count


counter = Counter()
'''


class Done(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """What it showed, as one value."""
        return json.loads(self.out)

    def refused(self, code: int, *words: str) -> None:
        """Assert that it failed so, with one line that has these words, and showed nothing."""
        assert (self.code, self.out) == (code, ""), self
        assert self.err.startswith("daffi: ") and self.err.count("\n") == 1, self
        for word in words:
            assert word in self.err, self


class CommandLine:
    """Runs `daffi` in a folder that has `functions.py`."""

    def __init__(self, folder: Path, programs: Programs) -> None:
        self.folder = folder
        self.programs = programs
        (folder / "functions.py").write_text(FUNCTIONS, "utf-8")

    def run(self, *args: str, env: dict[str, str] | None = None) -> Done:
        """Run a command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "daffi", *args],
            cwd=self.folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *args: str, env: dict[str, str] | None = None) -> Program:
        """Start a command and do not wait for it."""
        within = ("env", "-C", str(self.folder))
        return self.programs.start("-m", "daffi", *args, env=env, within=within)

    def up(self, *args: str, env: dict[str, str] | None = None) -> tuple[Program, str]:
        """Start `router` or `serve` on a free port, and wait until it is up; also its URL."""
        where = () if {"--router", "--unix", "--url"} & {*args} else ("--port", "0")
        program = self.start(*args, *where, "--json", env=env)
        return program, json.loads(program.line())["address"]

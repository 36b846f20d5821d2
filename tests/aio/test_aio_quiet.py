"""Real programs on asyncio and Trio: they end as they should, and say nothing on the way."""

from __future__ import annotations

import signal

import pytest
from programs import Program, Programs

LOUD = {"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "error"}
WORLDS = {"asyncio": ("aio_quiet.py", ()), "uvloop": ("aio_quiet.py", ("uvloop",)),
          "trio": ("trio_quiet.py", ())}  # fmt: skip


def start(programs: Programs, world: str, mode: str) -> Program:
    name, more = WORLDS[world]
    return programs.ready(name, mode, *more, env=LOUD)


def end(program: Program, code: int = 0) -> None:
    assert program.wait(20) == code
    assert program.stderr == ""


@pytest.mark.parametrize("world", WORLDS)
def test_after_work(programs: Programs, world: str) -> None:
    end(start(programs, world, "work"))


@pytest.mark.parametrize("world", WORLDS)
def test_with_everything_pending(programs: Programs, world: str) -> None:
    for _ in range(3):
        end(start(programs, world, "pending"))


@pytest.mark.parametrize("world", ["asyncio", "trio"])
def test_interrupted_with_calls_pending(programs: Programs, world: str) -> None:
    program = start(programs, world, "calling")
    program.expect("waiting")
    program.send_signal(signal.SIGINT)
    assert program.line() == "interrupted"
    end(program)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("world", WORLDS)
def test_nodes_joined_together_all_end(programs: Programs, world: str, number: int) -> None:
    program = start(programs, world, "joined")
    program.expect("waiting")
    program.send_signal(number)
    assert program.line() == "returned"
    end(program)

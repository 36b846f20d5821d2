"""The interpreter ends in the middle of things: right exit code, at once, nothing fatal said."""

from __future__ import annotations

import threading
import time

import pytest
from programs import Program, Programs

from daffi import Client

MODES = {
    "idle": 0,
    "stopped": 0,
    "in-call": 0,
    "in-callback": 0,
    "in-busy-callback": 0,
    "in-callback-async": 0,
    "serving": 0,
    "calling": 0,
    "stream": 0,
    "handler": 0,
    "dropped": 0,
    "disconnected": 0,
    "waiting": 0,
    "exit-3": 3,
    "exception": 1,
    "exception-in-with": 1,
}


def watch(program: Program, code: int) -> None:
    """Assert that a program ends as it should."""
    began = float(program.expect("ending"))
    assert program.wait(10) == code, program.stderr
    assert time.monotonic() - began < 2
    program.quiet()
    if code != 1:
        assert program.stderr == ""
    else:
        assert program.stderr.rstrip().endswith("ValueError: meant to be")


@pytest.mark.parametrize("mode", MODES)
def test_the_end_of_the_interpreter(programs: Programs, mode: str) -> None:
    for _ in range(2):
        pair = [programs.start("exits.py", mode) for _ in range(2)]
        for program in pair:
            watch(program, MODES[mode])


def test_the_other_side_hears_of_it(programs: Programs) -> None:
    """A process that just ends says goodbye: others need not wait for its silence."""
    _, url = programs.serve("router")
    program = programs.start("exits.py", "goodbye", url)

    heard = threading.Event()
    client = Client("listener", url=url, expose=())
    client.on_member_removed(lambda name: heard.set() if name == "leaver" else None)
    with client:
        watch(program, 0)
        assert heard.wait(2)

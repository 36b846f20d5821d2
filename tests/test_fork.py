"""A forked child: the parent's objects say so, new ones work, the parent notices nothing."""

from __future__ import annotations

import os

import pytest
from programs import Programs

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def told(programs: Programs, mode: str) -> dict[str, str]:
    """What a program said, up to `left`."""
    program = programs.start("forks.py", mode)
    facts = {}
    while (line := program.line()) != "left":
        name, _, value = line.partition(" ")
        facts[name] = value
    assert program.wait() == 0, program.stderr
    program.quiet()
    return facts


@pytest.mark.parametrize("mode", ["fork", "fork-in-call", "multiprocessing", "fork-then-exit"])
def test_the_parents_objects_in_the_child(programs: Programs, mode: str) -> None:
    facts = told(programs, mode)
    for name in ("rpc", "kept", "nowait", "cast", "stream", "members", "stats", "new-connection",
                 "server-members", "worker-members", "unstarted"):  # fmt: skip
        assert facts.pop(f"child-{name}") == "ForkedError", name
    assert facts == {
        "child-service": "3",  # new nodes of every kind work in the child
        "child-router": "3",
        "child-by-parent": "3",  # a new client in the child, a service of the parent
        "child-code": "0",
        "parent-rpc": "3",
        "parent-routed": "3",
        "parent-members": "caller,worker",
    }


def test_a_server_that_forks_first(programs: Programs) -> None:
    """The parent imports daffi and serves; three children are its workers."""
    facts = told(programs, "prefork")
    assert facts == {"workers": "3", "pids": "3", "codes": "0,0,0"}


def test_a_grandchild(programs: Programs) -> None:
    assert told(programs, "grandchild") == {
        "parent": "3", "child": "3", "grandchild": "3", "grandchild-old": "ForkedError",
        "codes": "0",
    }  # fmt: skip

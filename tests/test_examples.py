"""Every example runs as people run it, and prints what the text at its top says.

A program's docstring ends in "It prints:" and the lines themselves; `...` in a line stands
for anything. The table says which programs make up an example, in which order they are
started, and which of them end by themselves. No behaviour of the product is tested here
that is not shown by an example.
"""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from programs import Program, Programs

EXAMPLES = Path(__file__).parent.parent / "examples"
DEMO = EXAMPLES / "demo" / "demo.py"
ADDRESS = re.compile(r"ready on (?:127\.0\.0\.1:(\d+)|(\S+))")


@dataclass(frozen=True)
class Step:
    """One program of an example: its file, its arguments after the address, how it ends."""

    file: str
    args: tuple[str, ...] = ()
    ends: bool = False


def step(line: str, *, ends: bool = False) -> Step:
    """From what one would type."""
    file, *args = line.split()
    return Step(file, tuple(args), ends)


SERVICE = (step("1_service.py"), step("2_client.py", ends=True))
PAGE = (step("1_service.py"),)
ROUTER = (step("1_router.py"), step("2_worker.py"), step("3_caller.py", ends=True))

TABLE: dict[str, tuple[Step, ...]] = {
    "service/01_rpc": SERVICE,
    "service/02_cast": SERVICE,
    "service/03_class_callbacks": SERVICE,
    "service/04_serde_pickle": SERVICE,
    "service/05_serde_json": SERVICE,
    "service/06_serde_opaque": SERVICE,
    "service/07_serde_msgpack": SERVICE,
    "service/08_unix_socket": SERVICE,
    "service/09_events": SERVICE,
    "service/10_stream": SERVICE,
    "router/01_rpc": (
        step("1_router.py"),
        step("2_worker.py worker-1"),
        step("2_worker.py worker-2"),
        step("3_caller.py", ends=True),
    ),
    "router/02_cast": (
        step("1_router.py"),
        step("2_worker.py berlin 10"),
        step("2_worker.py madrid -1"),
        step("2_worker.py warsaw 30 0.5"),
        step("3_caller.py", ends=True),
    ),
    "router/03_bidirectional": ROUTER,
    "router/04_serde_pickle": ROUTER,
    "router/05_serde_json": ROUTER,
    "router/06_serde_opaque": ROUTER,
    "router/07_serde_msgpack": (
        step("1_router.py"),
        step("2_worker.py north"),
        step("2_worker.py south"),
        step("3_caller.py", ends=True),
    ),
    "router/08_events": (
        step("1_router.py"),
        step("2_worker.py", ends=True),
        step("3_caller.py", ends=True),
    ),
    "router/09_wait_for_members": (
        step("1_router.py"),
        step("3_caller.py", ends=True),
        step("2_worker.py left"),
        step("2_worker.py right"),
    ),
    "router/10_cpu_pool": (
        step("1_router.py"),
        step("2_worker.py 2"),
        step("3_caller.py", ends=True),
    ),
    "aio/service/01_rpc": SERVICE,
    "aio/service/02_cast": SERVICE,
    "aio/service/03_class_callbacks": SERVICE,
    "aio/service/04_serde_pickle": SERVICE,
    "aio/service/05_serde_json": SERVICE,
    "aio/service/06_serde_opaque": SERVICE,
    "aio/service/07_serde_msgpack": SERVICE,
    "aio/service/08_events": SERVICE,
    "aio/service/09_stream": SERVICE,
    "aio/router/01_rpc": (
        step("1_router.py"),
        step("2_worker.py worker-1"),
        step("2_worker.py worker-2"),
        step("3_caller.py", ends=True),
    ),
    "aio/router/02_cast": (
        step("1_router.py"),
        step("2_worker.py berlin 10"),
        step("2_worker.py madrid -1"),
        step("2_worker.py warsaw 30 60"),
        step("3_caller.py", ends=True),
    ),
    "aio/router/03_bidirectional": ROUTER,
    "aio/router/04_class_callbacks": ROUTER,
    "aio/router/05_serde_pickle": ROUTER,
    "aio/router/06_serde_json": ROUTER,
    "aio/router/07_serde_opaque": ROUTER,
    "aio/router/08_serde_msgpack": (
        step("1_router.py"),
        step("2_worker.py north"),
        step("2_worker.py south"),
        step("3_caller.py", ends=True),
    ),
    "aio/router/09_events": (
        step("1_router.py"),
        step("2_worker.py", ends=True),
        step("3_caller.py", ends=True),
    ),
    "aio/router/10_wait_for_members": (
        step("1_router.py"),
        step("3_caller.py", ends=True),
        step("2_worker.py left"),
        step("2_worker.py right"),
    ),
    "aio/router/11_stream": (
        step("1_router.py"),
        step("2_worker.py anna"),
        step("2_worker.py ben"),
        step("3_caller.py", ends=True),
    ),
    # Here the web server says where it is, and the visitor is told that address.
    "aio/router/12_web_fan_out": (
        step("1_router.py"),
        step("2_worker.py fiction"),
        step("2_worker.py science"),
        step("3_web.py 0"),
        step("4_visitor.py", ends=True),
    ),
    "trio/01_rpc": SERVICE,
    # Run by the JavaScript tests, together with their pages: see js/tests/browser/scenes.js.
    "browser/01_service_json": PAGE,
    "browser/02_service_msgpack": PAGE,
    "browser/03_router_json": (step("1_router.py"), step("2_worker.py")),
    "browser/04_cast": (step("1_router.py"), step("2_worker.py")),
    "browser/05_stream": PAGE,
    "browser/06_wait_for_members": (step("1_router.py"), step("2_worker.py")),
    "browser/07_page_is_called": (step("1_router.py"), step("2_caller.py")),
}
KINDS = sorted({name.rpartition("/")[0] for name in TABLE})


def promised(path: Path) -> list[str]:
    """The lines that the docstring of a program says it prints."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    _, found, block = text.partition("\nIt prints:\n\n")
    assert found, f"{path} does not say what it prints"
    return [line.removeprefix("    ") for line in block.splitlines() if line.strip()]


def check(line: str, pattern: str, program: Program) -> None:
    """Compare one line with what was promised."""
    wanted = re.escape(pattern).replace(re.escape("..."), ".*")
    assert re.fullmatch(wanted, line), f"{program.name}: {pattern!r} promised, got {line!r}"


class Actor:
    """One program that runs, and the lines that it still has to print."""

    def __init__(self, program: Program, lines: list[str], step: Step) -> None:
        self.program = program
        self.lines = lines
        self.step = step

    def hear(self, count: int) -> str:
        """Check the next `count` lines; the last of them."""
        line = ""
        for pattern in self.lines[:count]:
            line = self.program.line()
            check(line, pattern, self.program)
        del self.lines[:count]
        return line

    def finish(self) -> None:
        """Check that it printed all its lines and no more, and ended without complaint."""
        self.hear(len(self.lines))
        assert self.program.wait() == 0, self.program.stderr
        assert self.program.stderr == ""
        with pytest.raises(AssertionError, match="ended: 0"):
            self.program.line()


def start(folder: str, step: Step, address: str, programs: Programs) -> tuple[Actor, str]:
    """Start one program and wait for its first line; also the address of its example."""
    path = EXAMPLES / folder / step.file
    program = programs.start(str(path), address, *step.args)
    lines = promised(path)
    ready = ADDRESS.match(lines[0])
    if ready is None:
        actor = Actor(program, lines, step)
        actor.hear(1)
        return actor, address
    got = ADDRESS.fullmatch(program.line())
    assert got, f"{program.name} does not say where it is"
    return Actor(program, lines[1:], step), got[1] or got[2]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("folder", [name for name in TABLE if not name.startswith("browser/")])
def test_example(folder: str, end: signal.Signals, programs: Programs, short_path: Path) -> None:
    address = str(short_path / "s") if folder.endswith("unix_socket") else "0"
    actors = []
    for each in TABLE[folder]:
        actor, address = start(folder, each, address, programs)
        actors.append(actor)
    for actor in actors:
        if actor.step.ends:
            actor.finish()
    # The last line of a server is its farewell; the others come before it is asked to end.
    for actor in actors:
        if not actor.step.ends:
            actor.hear(len(actor.lines) - 1)
    for actor in reversed(actors):
        if not actor.step.ends:
            actor.program.send_signal(end)
            actor.finish()


def test_every_example_is_in_the_table() -> None:
    folders = {
        f"{kind}/{folder.name}"
        for kind in KINDS
        for folder in (EXAMPLES / kind).iterdir()
        if any(folder.glob("*.py"))
    }
    assert folders == set(TABLE)


@pytest.mark.parametrize("folder", TABLE)
def test_every_program_is_run_and_explained(folder: str) -> None:
    files = {path.name for path in (EXAMPLES / folder).glob("*.py")}
    assert files == {each.file for each in TABLE[folder]}
    for file in files:
        text = ast.get_docstring(ast.parse((EXAMPLES / folder / file).read_text("utf-8"))) or ""
        assert f"    python {file} [" in text


def test_the_index_names_every_example() -> None:
    index = (EXAMPLES / "README.md").read_text("utf-8")
    for kind in KINDS:
        section = index.partition(f"`{kind}/`:")[2].partition("\n\n|")[2].partition("\n\n")[0]
        named = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
        assert named == {
            folder for where, _, folder in (name.rpartition("/") for name in TABLE) if where == kind
        }


def left_behind(out: str) -> list[int]:
    """Which of the processes that the demo named still run."""
    pids = [int(pid) for pid in re.findall(r"\bpid (\d+)", out)]
    assert pids, "the demo names no process"
    alive = []
    for pid in pids:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            continue
        alive.append(pid)
    return alive


@pytest.mark.timeout(120)
def test_demo_shows_all_and_leaves_nothing() -> None:
    done = subprocess.run(
        [sys.executable, str(DEMO)], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    for word in (
        "1/8",
        "8/8",
        "ten each",
        "ValueError",
        "killed",
        "calls/s",
        "999 answers",
        "256 MiB",
    ):
        assert word in done.stdout
    assert left_behind(done.stdout) == []


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_demo_cleans_up_when_it_is_interrupted(end: signal.Signals, programs: Programs) -> None:
    demo = programs.start(str(DEMO))
    out: list[str] = []
    while "3/8" not in (out[-1] if out else ""):
        out.append(demo.line(30))
    demo.send_signal(end)
    assert demo.wait(20) == 128 + end
    assert demo.stderr == ""
    assert left_behind("\n".join(out)) == []

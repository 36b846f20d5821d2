"""The door: help, version, and what is said where the extra is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import CommandLine

import daffi

COMMANDS = ("router", "serve", "call", "ls", "top", "ping", "bench")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed runs, not what lies in the current folder."""
    monkeypatch.chdir(tmp_path)


def test_the_version(cli: CommandLine) -> None:
    assert cli.run("--version") == (0, f"daffi {daffi.__version__}\n", "")


def test_help_lists_all_commands(cli: CommandLine) -> None:
    done = cli.run("--help")
    assert done.code == 0 and all(f"\n  {name} " in done.out for name in COMMANDS)
    assert cli.run().code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples(cli: CommandLine, command: str) -> None:
    done = cli.run(command, "--help", env={"COLUMNS": "60"})
    assert done.code == 0 and f"\n    daffi {command}" in done.out.partition("Examples:")[2]
    assert "--json" in done.out


@pytest.mark.parametrize("missing", ["click", "rich", "watchfiles"])
def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path, missing: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{missing!r}] = None\n")
    done = subprocess.run(
        [sys.executable, "-m", "daffi", "ls"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "pip install 'daffi[cli]'" in done.stderr


def test_importing_daffi_brings_no_command_line() -> None:
    code = "import sys, daffi; print({'daffi.cli', 'click', 'rich'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_completion_for_a_shell(cli: CommandLine) -> None:
    done = cli.run(env={"_DAFFI_COMPLETE": "bash_source"})
    assert done.code == 0 and "complete -o nosort -F" in done.out
    words = {"COMP_WORDS": "daffi se", "COMP_CWORD": "1", "_DAFFI_COMPLETE": "bash_complete"}
    assert "serve" in cli.run(env=words).out


@pytest.mark.skipif(sys.platform == "win32", reason="its pipes break otherwise")
def test_a_reader_that_has_seen_enough_is_no_error(cli: CommandLine) -> None:
    _, url = cli.up("serve", "functions.py")
    for command in ("ls", "top", "ping --count 1", "bench --help", "top --json"):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-m", "daffi", *command.split(), url],
            stdout=writer, stderr=subprocess.PIPE, text=True, timeout=30, check=False,
        )  # fmt: skip
        os.close(writer)
        assert (done.returncode, done.stderr) == (0, ""), command


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_full_disk_is_one_line(cli: CommandLine) -> None:
    _, url = cli.up("serve", "functions.py")
    for command in (["ls", url], ["call", "-u", url, "add", "1", "2"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "daffi", *command],
                stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False,
            )  # fmt: skip
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done
        assert "No space left" in done.stderr


def test_colours_only_for_people(cli: CommandLine) -> None:
    """A terminal of its own shows colours, unless NO_COLOR is set."""
    pty = pytest.importorskip("pty")
    _, url = cli.up("serve", "functions.py")
    for no_color, coloured in ((None, True), ("1", False)):
        shown = bytearray()
        env = {**os.environ, "TERM": "xterm-256color"}
        env.update({"NO_COLOR": no_color} if no_color else {})
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "daffi", "ls", url], stdout=follower, stderr=follower, env=env
        )
        os.close(follower)
        while True:
            try:
                data = os.read(leader, 4096)
            except OSError:  # the other side is closed
                break
            if not data:
                break
            shown.extend(data)
        process.wait(10)
        os.close(leader)
        assert b"add" in shown
        assert (b"\x1b[36m" in shown) is coloured

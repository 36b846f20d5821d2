"""`daffi serve --processes` and `--reload`: several processes, watched over."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable

from commandline import CommandLine
from programs import Program

from daffi import Client
from daffi.exceptions import DaffiError
from daffi.sync import ClientConnection

Server = tuple[Program, str]


def until(happens: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ready(program: Program, count: int) -> set[str]:
    """The names of so many workers that became ready."""
    return {json.loads(program.line())["ready"] for _ in range(count)}


def workers(cli: CommandLine, url: str, *more: str) -> Program:
    return cli.start("serve", "functions.py", "--router", url, "--name", "w", "--json", *more)


def test_each_process_is_a_worker(cli: CommandLine, routed: Server) -> None:
    program = workers(cli, routed[1], "--processes", "3")
    assert ready(program, 3) == {"w-1", "w-2", "w-3"}
    pids = cli.run("call", "-u", routed[1], "--cast", "pid").json()
    assert len({*pids.values()}) == 3 and program.pid not in pids.values()
    program.send_signal(signal.SIGTERM)
    assert program.wait() == 0
    assert "nobody offers" in cli.run("ls", routed[1]).out


def test_one_that_dies_is_started_again(cli: CommandLine, routed: Server) -> None:
    program = workers(cli, routed[1], "--processes", "2")
    ready(program, 2)
    with Client(url=routed[1], expose=()) as conn:
        before = conn.cast(timeout=10).pid()
        try:
            conn.rpc(timeout=10, receiver="w-1").die()
        except DaffiError as error:
            assert "w-1" in str(error)
        assert ready(program, 1) == {"w-1"}
        after = conn.cast(timeout=10).pid()
    assert "process 1 ended with exit code 3; started again in 0.5 s" in program.stderr
    assert (before["w-1"] != after["w-1"], before["w-2"] == after["w-2"]) == (True, True)


def test_they_drain_together_and_the_second_signal_ends_them(
    cli: CommandLine, routed: Server
) -> None:
    program = workers(cli, routed[1], "--processes", "2")
    ready(program, 2)
    gate = cli.folder / "gate"
    caller = cli.start("call", "-u", routed[1], "hold", str(gate))
    until((cli.folder / "gate.begun").exists)
    program.send_signal(signal.SIGINT)
    until(lambda: "once more" in program.stderr)
    program.send_signal(signal.SIGINT)
    assert program.wait(5) == 130
    assert caller.wait(15) == 7


def test_they_end_when_whoever_watches_is_gone(cli: CommandLine, routed: Server) -> None:
    program = workers(cli, routed[1], "--processes", "2")
    ready(program, 2)
    program.kill()
    until(lambda: "nobody offers" in cli.run("ls", routed[1]).out)


def test_what_can_never_work_is_not_tried_again(cli: CommandLine, routed: Server) -> None:
    (cli.folder / "broken.py").write_text("undefined\n")
    done = cli.run("serve", "broken.py", "--router", routed[1], "--processes", "2")
    assert done.code == 2
    assert "NameError" in done.err and "so would the next one" in done.err


def result(conn: ClientConnection, wanted: int) -> bool:
    try:
        return bool(conn.rpc(timeout=5, serde="json").answer() == wanted)
    except (DaffiError, TimeoutError):
        return False


def test_a_change_starts_it_again(cli: CommandLine, routed: Server) -> None:
    source = cli.folder / "changing.py"
    text = "from daffi import callback\n\n\n@callback\ndef answer():\n    return {}\n"
    source.write_text(text.format(1))
    program = cli.start(
        "serve", "changing.py", "--reload", "--router", routed[1], "--name", "w", "--json"
    )
    ready(program, 1)
    with Client(url=routed[1], expose=()) as conn:
        assert result(conn, 1)
        source.write_text(text.format(22))
        ready(program, 1)
        until(lambda: result(conn, 22))
        assert "changing.py changed" in program.stderr
        source.write_text("syntax error\n")
        until(lambda: "started again when a file changes" in program.stderr)
        source.write_text(text.format(333))
        ready(program, 1)
        until(lambda: result(conn, 333))
    program.send_signal(signal.SIGTERM)
    assert program.wait() == 0

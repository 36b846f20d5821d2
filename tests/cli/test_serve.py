"""`daffi serve` and `daffi router`: what is offered, where, and how it ends."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from certificates import Certificates
from commandline import CommandLine
from programs import Program

from daffi import Client

Server = tuple[Program, str]


def until(path: Path) -> None:
    """Return when there is such a file."""
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path.name}"
        time.sleep(0.01)


def until_said(program: Program, words: str) -> None:
    """Wait until the program has said so on stderr."""
    deadline = time.monotonic() + 10
    while words not in program.stderr:
        assert time.monotonic() < deadline, program.stderr
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("target", "call", "result"),
    [
        ("functions.py", ["add", "1", "2"], 3),
        ("functions", ["add", "1", "2"], 3),
        ("functions:plain", ["plain"], "no decorator"),
        ("functions.py:Counter", ["up", "by=3"], 3),
        ("functions:counter", ["up"], 1),
        ("functions:counter.up", ["up"], 1),
        ("math:sqrt", ["sqrt", "9"], 3.0),
    ],
)
def test_targets(cli: CommandLine, target: str, call: list[str], result: object) -> None:
    _, url = cli.up("serve", target)
    assert cli.run("call", "-u", url, *call).json() == result


def test_an_object_is_all_that_is_offered(cli: CommandLine) -> None:
    _, url = cli.up("serve", "functions:plain")
    listed = cli.run("ls", "--json", url).json()
    assert [f["name"] for member in listed["members"] for f in member["functions"]] == ["plain"]


def test_targets_that_can_not_be_served(cli: CommandLine) -> None:
    (cli.folder / "empty.py").write_text("x = 1\n")
    (cli.folder / "broken.py").write_text("import sys\n\nprint(undefined)\n")
    (cli.folder / "endless.py").write_text(
        "from daffi import callback\n\n@callback\ndef count():\n    yield 1\n"
    )
    (cli.folder / "leaves.py").write_text("raise SystemExit('no settings')\n")
    (cli.folder / "needy.py").write_text("import not_installed\n")
    (cli.folder / "node.py").write_text("from daffi import Service\napp = Service('app')\n")
    for target, *words in (
        ("nope.py", "no file nope.py"),
        ("nope", "no module 'nope'"),
        ("nope.deeper", "no module 'nope'"),
        ("empty.py", "@callback", "empty.py:function"),
        ("broken.py", "NameError", "broken.py, line 3", "-v"),
        ("endless.py", "generator", "endless.py, line "),  # 3.10 has another than later ones
        ("leaves.py", "SystemExit: no settings", "leaves.py, line 1"),
        ("..", "TARGET"),
        ("needy.py", "not_installed"),
        ("functions:nope", "no 'nope'", "divide"),
        ("functions:a-b", "TARGET"),
        ("node.py:app", "is a node already"),
        ("math:pi", "float"),
    ):
        cli.run("serve", target).refused(2, *words)
    assert "Traceback" in cli.run("serve", "-v", "broken.py").err


def test_options_that_contradict_each_other(cli: CommandLine) -> None:
    serve = ("serve", "functions.py")
    cli.run(*serve, "--processes", "2").refused(2, "daffi router", "--router URL")
    router = ("--router", "tcp://127.0.0.1:1")
    cli.run(*serve, *router, "--port", "3").refused(2, "--port")
    cli.run(*serve, *router, "--allowed-host", "x").refused(2, "--allowed-host")
    cli.run(*serve, *router, "--wait", "0").refused(
        3, "can't connect to 127.0.0.1:1", "another with --router"
    )
    cli.run("router", "--port", "1", "--unix", "x").refused(3, "one address", "--unix")
    cli.run("router", "--port", "1", "--url", "tcp://h:1").refused(3, "and --port and --url")
    cli.run("router", "--tls-cert", "x").refused(3, "--tls-key")
    cli.run("router", "--port", "99999").refused(2, "--port")


def test_a_port_in_use_is_one_line(cli: CommandLine, routed: Server) -> None:
    port = routed[1].rpartition(":")[2]
    done = cli.run("router", "--port", port)
    done.refused(3, port, "in use", "another --port")
    assert done.err.count("0 for a free one") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets")
def test_a_unix_socket_is_there_until_the_end(cli: CommandLine, short_path: Path) -> None:
    path = short_path / "s"
    program, _ = cli.up("serve", "functions.py", "--unix", str(path))
    assert cli.run("call", "--unix", str(path), "add", "1", "2").out == "3\n"
    program.send_signal(signal.SIGTERM)
    assert (program.wait(), path.exists()) == (0, False)


def test_the_environment_says_where_to_listen(cli: CommandLine) -> None:
    program = cli.start("serve", "functions.py", env={"DAFFI_URL": "tcp://127.0.0.1:0"})
    said = program.line()
    assert said.startswith("functions serves at tcp://127.0.0.1:")
    assert said.endswith(": add, back, die, divide, hold and 2 more")


def test_a_secret_comes_from_a_file_or_the_environment(cli: CommandLine) -> None:
    secret = cli.folder / "secret"
    secret.write_text("open sesame\n")
    secret.chmod(0o600)
    _, url = cli.up("serve", "functions.py", "--token-file", str(secret))
    ways: list[tuple[list[str], dict[str, str]]] = [
        (["--token-file", str(secret)], {}),
        ([], {"DAFFI_TOKEN": "open sesame"}),
    ]
    for more, env in ways:
        assert cli.run("call", "-u", url, *more, "add", "1", "2", env=env) == (0, "3\n", "")
    cli.run("call", "-u", url, "add", "1", "2").refused(4, "--token-file", "DAFFI_TOKEN")
    refused = cli.run("ping", url, env={"DAFFI_TOKEN": "wrong"})
    refused.refused(4, "--token-file")
    assert "start a server" not in refused.err, "there is one"
    cli.run("ping", url, "--token-file", "nope").refused(2, "nope", "No such file")
    (cli.folder / "empty").touch()
    cli.run("ping", url, "--token-file", "empty").refused(2, "is empty")
    secret.chmod(0o644)
    told = cli.run("ping", url, "--token-file", str(secret))
    assert told.code == 0 and "chmod o-r" in told.err and "sesame" not in told.err + told.out
    assert "--token " not in cli.run("call", "--help").out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_calls_finish(
    cli: CommandLine, served: Server, number: signal.Signals
) -> None:
    program, url = served
    gate = cli.folder / "gate"
    caller = cli.start("call", "-u", url, "hold", str(gate))
    until(Path(f"{gate}.begun"))
    program.send_signal(number)
    until_said(program, "1 call to finish")
    gate.touch()
    assert (caller.line(), caller.wait(), program.wait()) == ('"held"', 0, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_it_at_once(
    cli: CommandLine, served: Server, number: signal.Signals
) -> None:
    program, url = served
    gate = cli.folder / "gate"
    caller = cli.start("call", "-u", url, "hold", str(gate))
    until(Path(f"{gate}.begun"))
    program.send_signal(number)
    until_said(program, "once more")
    program.send_signal(number)
    assert program.wait(5) == -number
    assert caller.wait(15) == 7


def test_a_router_drains_as_well(cli: CommandLine, routed: Server) -> None:
    program, url = routed
    worker, _ = cli.up("serve", "functions.py", "--router", url)
    program.send_signal(signal.SIGTERM)
    assert program.wait() == 0
    worker.send_signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_a_worker_waits_for_a_router_that_comes_later(cli: CommandLine, short_path: Path) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no Unix sockets")
    where = short_path / "s"
    worker = cli.start("serve", "functions.py", "--router", f"unix://{where}", "--name", "w")
    cli.up("router", "--unix", str(where))
    assert worker.line().startswith("w works for router at unix://")
    with Client(unix_sock_path=where, expose=()) as conn:
        assert conn.rpc(timeout=10).add(1, 2) == 3


def test_a_worker_whose_name_is_taken_says_so(cli: CommandLine, routed: Server) -> None:
    first, _ = cli.up("serve", "functions.py", "--router", routed[1], "--name", "w")
    cli.up("serve", "functions.py", "--router", routed[1], "--name", "w")
    assert first.wait() == 10
    assert "another node took the name" in first.stderr


def test_two_workers_of_one_file_have_names_of_their_own(cli: CommandLine, routed: Server) -> None:
    for _ in range(2):
        cli.up("serve", "functions.py", "--router", routed[1])
    listed = cli.run("ls", "--json", routed[1]).json()["members"]
    assert len(listed) == 2 and all(m["name"].startswith("functions-") for m in listed)


def test_tls_from_end_to_end(cli: CommandLine, certificates: Certificates) -> None:
    own, authority = certificates.server(), str(certificates.ca_file)
    shown = ("--tls-cert", str(own["cert_file"]), "--tls-key", str(own["key_file"]))
    _, url = cli.up("router", *shown)
    assert url.startswith("tls://")
    cli.up("serve", "functions.py", "--router", url, "--tls-ca", authority, "--name", "w")
    assert cli.run("call", "-u", url, "--tls-ca", authority, "add", "1", "2") == (0, "3\n", "")
    plain = cli.run("ping", url.replace("tls", "tcp"))
    plain.refused(3, "TLS", "--tls")
    assert "start a server" not in plain.err
    unverified = cli.run("ping", url, "--count", "1")
    assert unverified.code == 0 and "daffi: no --tls-ca for tls://" in unverified.err

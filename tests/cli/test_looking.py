"""`daffi ls`, `top`, `ping` and `bench`: what they show of a network that is up."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import strangers
from commandline import CommandLine
from programs import Program
from strangers import Imposter, Peer

from daffi import Client
from daffi.cli.rates import between
from daffi.cli.screen import count, per_second, size, span

Server = tuple[Program, str]


def test_functions_are_listed_with_signature_and_summary(cli: CommandLine, served: Server) -> None:
    done = cli.run("ls", served[1])
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "functions (Service)"
    assert "  add(a: int, b: int) -> int" + " " * 4 + "Add two numbers." in lines
    assert "  divide(a: float, b: float) -> float" in lines
    assert "\x1b" not in done.out


def test_a_narrow_terminal_puts_the_summary_below(cli: CommandLine, served: Server) -> None:
    done = cli.run("ls", served[1], env={"COLUMNS": "40"})
    lines = done.out.splitlines()
    at = lines.index("  add(a: int, b: int) -> int")
    assert lines[at + 1] == "      Add two numbers."


def test_workers_with_the_same_functions_are_listed_once(cli: CommandLine, routed: Server) -> None:
    assert "nobody offers a function" in cli.run("ls", routed[1]).out
    for name in ("a", "b"):
        cli.up("serve", "functions.py:plain", "--router", routed[1], "--name", name)
    assert cli.run("ls", routed[1]).out.splitlines() == [
        "router (Router)",
        "a, b",
        "  plain() -> str",
    ]


def test_the_list_as_json(cli: CommandLine, served: Server) -> None:
    listed = cli.run("ls", "--json", "-u", served[1]).json()
    assert [member["name"] for member in listed["members"]] == [listed["server"]]
    assert {
        "name": "add",
        "signature": "(a: int, b: int) -> int",
        "summary": "Add two numbers.",
    } in listed["members"][0]["functions"]


def test_nobody_there_is_one_line(cli: CommandLine) -> None:
    for command in ("ls", "top", "ping", "bench"):
        cli.run(command, "tcp://127.0.0.1:1").refused(3, "127.0.0.1:1", "daffi router")
    cli.run("ls", "tcp://127.0.0.1:1", "-u", "tcp://127.0.0.1:1").refused(2, "twice")


def test_a_server_that_says_nothing_is_one_line(cli: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        done = cli.run("ping", url, "--timeout", "0.2")
    done.refused(3, "no answer within 0.2 s; is it a server of daffi")


def test_top_counts_calls_and_errors_of_a_worker(cli: CommandLine, routed: Server) -> None:
    cli.up("serve", "functions.py", "--router", routed[1], "--name", "worker")
    gate = cli.folder / "gate"
    with Client(url=routed[1], expose=()) as conn:
        for _ in range(3):
            conn.rpc(serde="json").add(1, 2)
        with pytest.raises(ZeroDivisionError):
            conn.rpc(serde="json").divide(1, 0)
        conn.rpc_nowait(serde="json").hold(str(gate))
        conn.rpc(timeout=20, serde="json")  # a proxy calls nothing
        done = cli.run("top", routed[1], "--json", "--count", "1", "--interval", "0.1")
        gate.touch()
    look = done.json()
    assert look["functions"]["add"] | {"errors_per_second": 0, "calls_per_second": 0} == {
        "calls": 3, "errors": 0, "calls_per_second": 0, "errors_per_second": 0,
        "calls_in_flight": 0, "workers": 1,
    }  # fmt: skip
    assert (look["functions"]["divide"]["calls"], look["functions"]["divide"]["errors"]) == (1, 1)
    assert look["functions"]["back"]["workers"] == 1, "never called, and listed all the same"
    assert "worker" in look["members"]
    assert not any(name.startswith("daffi-top") for name in look["members"])


@pytest.mark.parametrize(
    ("kind", "code"), [(strangers.GOODBYE, 7), (strangers.FAILURE, 3)], ids=["leaves", "refuses"]
)
def test_top_of_a_server_that_does_not_know_the_question(
    cli: CommandLine, kind: int, code: int
) -> None:
    failure = {"kind": "protocol", "ran": "no", "message": "unknown variant `stats`"}

    def talk(peer: Peer) -> None:
        peer.say(strangers.welcome())
        asked = peer.hear()
        assert asked.map == {"ask": "stats"}
        peer.say(strangers.frame(kind, failure, id=asked.id if kind == strangers.FAILURE else 0))
        peer.ends()

    with Imposter() as imposter, ThreadPoolExecutor() as pool:
        talked = pool.submit(imposter.serve, talk)
        cli.run("top", f"tcp://127.0.0.1:{imposter.port}").refused(code, "unknown variant `stats`")
        talked.result(10)


def test_top_in_a_pipe_shows_one_page(cli: CommandLine, served: Server) -> None:
    done = cli.run("top", served[1], "--interval", "0.1")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"functions at {served[1]}, up ")
    assert "FUNCTION" in done.out and "MEMBER" in done.out and "WORKERS" in done.out
    narrow = cli.run("top", served[1], "--interval", "0.1", env={"COLUMNS": "60"}).out
    assert max(map(len, narrow.splitlines())) <= 60
    assert "WORKERS" not in narrow


def test_ping_says_how_long_it_took(cli: CommandLine, served: Server) -> None:
    done = cli.run("ping", served[1], "--count", "2", "--interval", "0")
    assert (done.code, len(done.out.splitlines())) == (0, 4)
    told = cli.run("ping", served[1], "--count", "3", "--interval", "0", "--json").json()
    assert (told["server"], len(told["round_trips"])) == ("functions", 3)


def test_bench_brings_a_worker_to_a_router(cli: CommandLine, routed: Server) -> None:
    done = cli.run("bench", routed[1], "--seconds", "0.1", "--concurrency", "5", "--json")
    told = json.loads(done.out)
    assert told["rows"][0]["what"] == "the server's answer"
    assert len(told["rows"]) == 4 and all(row["calls"] > 0 for row in told["rows"])
    assert "offers a function" in cli.run("ls", routed[1]).out, "and takes it away again"


def test_bench_of_a_service_calls_what_is_named(cli: CommandLine, served: Server) -> None:
    cli.run("bench", served[1], "--seconds", "0.1").refused(2, "is a Service", "--call")
    done = cli.run("bench", served[1], "--seconds", "0.1", "--call", "add 3 4")
    assert done.code == 0 and "add, one by one" in done.out


def test_rates_are_differences_over_time() -> None:
    def stats(calls: int, received: int) -> dict[str, object]:
        function = {"f": {"calls": calls, "errors": 1}}
        member = {
            "calls_in_flight": 2, "queued": 1, "bytes_sent": 0, "bytes_received": received,
            "functions": {"f": {"calls": calls, "errors": 1, "calls_in_flight": 2}},
        }  # fmt: skip
        return {
            "uptime": 5.0, "calls": calls, "errors": 1, "calls_in_flight": 2, "queued": 1,
            "functions": function, "by_member": {"w": member},
        }  # fmt: skip

    look = between(stats(10, 100), stats(30, 300), 2.0)
    assert (look["calls_per_second"], look["errors_per_second"]) == (10, 0)
    assert look["functions"]["f"]["calls_in_flight"] == 2
    assert look["members"]["w"]["bytes_received_per_second"] == 100
    again = between(stats(30, 300), stats(4, 40), 2.0)
    assert again["functions"]["f"]["calls_per_second"] == 2, "what fell has begun anew"


def test_numbers_are_shown_as_people_say_them() -> None:
    assert [count(1234567), per_second(0.25), per_second(7), per_second(1234.5)] == [
        "1,234,567", "0.2", "7", "1,234",
    ]  # fmt: skip
    assert [size(0), size(999), size(1500), size(2.5e9)] == ["0 B", "999 B", "1.5 kB", "2.5 GB"]
    assert [span(0.00042), span(7), span(75), span(3700), span(90000)] == [
        "0.42 ms", "7.0 s", "1 min 15 s", "1 h 1 min", "1 d 1 h",
    ]  # fmt: skip

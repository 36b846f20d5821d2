"""`daffi call`: arguments, results, and what each kind of failure ends with."""

from __future__ import annotations

import pytest
from commandline import CommandLine
from programs import Program

from daffi.cli.arguments import parse

Server = tuple[Program, str]


def test_a_result_is_json(cli: CommandLine, served: Server) -> None:
    done = cli.run("call", "--url", served[1], "add", "3", "4")
    assert done == (0, "7\n", "")


@pytest.mark.parametrize(
    ("words", "args", "kwargs"),
    [
        (["3", "-4", "2.5"], [3, -4, 2.5], {}),
        (["cat.png", "width=640"], ["cat.png"], {"width": 640}),
        (['["a", null]', "true", '"7"'], [["a", None], True, "7"], {}),
        (["a=b=c", 'x="-y"'], [], {"a": "b=c", "x": "-y"}),
        (['"-x"', "", "2=3"], ["-x", "", "2=3"], {}),
    ],
)
def test_arguments_are_json_or_text(
    words: list[str], args: list[object], kwargs: dict[str, object]
) -> None:
    assert parse(words) == (args, kwargs)


def test_arguments_arrive_as_they_were_said(cli: CommandLine, served: Server) -> None:
    done = cli.run("call", "-u", served[1], "back", "-3", "text", 'list=["ü"]')
    assert done.json() == [[-3, "text"], {"list": ["ü"]}]


def test_the_environment_names_the_server(cli: CommandLine, served: Server) -> None:
    assert cli.run("call", "add", "1", "2", env={"DAFFI_URL": served[1]}).out == "3\n"


def test_a_cast_shows_who_said_what(cli: CommandLine, routed: Server) -> None:
    for name in ("a", "b"):
        cli.up("serve", "functions.py", "--router", routed[1], "--name", name)
    done = cli.run("call", "-u", routed[1], "--cast", "add", "1", "2")
    assert (done.code, done.json()) == (0, {"a": 3, "b": 3})
    done = cli.run("call", "-u", routed[1], "--cast", "--receiver", "b", "divide", "1", "0")
    assert (done.code, done.json()) == (1, {})
    assert done.err == "daffi: b: ZeroDivisionError: division by zero (raised by b)\n"


def test_a_receiver_is_the_one_that_runs_it(cli: CommandLine, routed: Server) -> None:
    pids = {}
    for name in ("a", "b"):
        cli.up("serve", "functions.py", "--router", routed[1], "--name", name)
        pids[name] = cli.run("call", "-u", routed[1], "--receiver", name, "pid").json()
    assert pids["a"] != pids["b"]


def test_what_the_function_raised_is_one_line(cli: CommandLine, served: Server) -> None:
    done = cli.run("call", "-u", served[1], "divide", "1", "0")
    done.refused(1, "ZeroDivisionError: division by zero (raised by functions)")
    done = cli.run("call", "-u", served[1], "-v", "divide", "1", "0")
    assert (done.code, "in divide" in done.err) == (1, True)


def test_every_failure_has_its_exit_code(cli: CommandLine, served: Server) -> None:
    where = ("call", "-u", served[1])
    cli.run("call", "-u", "tcp://127.0.0.1:1", "add").refused(3, "can't connect", "daffi serve")
    cli.run("call", "-u", "nowhere", "add").refused(3, "no scheme")
    cli.run(*where, "nope").refused(5, "nobody offers", "functions (")
    cli.run(*where, "--receiver", "x", "add").refused(5, "no member is called")
    gate = str(cli.folder / "gate")
    cli.run(*where, "--timeout", "0.2", "hold", gate).refused(6, "hold", "0.2")
    (cli.folder / "gate").touch()
    cli.run(*where, "add", str(1 << 70), "1").refused(9)
    cli.run(*where, "die").refused(7, "gone")


def test_what_a_format_can_not_carry_names_those_that_can(cli: CommandLine) -> None:
    _, url = cli.up("serve", "builtins:bytes.fromhex")
    where = ("call", "-u", url, "fromhex", "ff")
    cli.run(*where).refused(9, "bytes", "--serde msgpack or pickle")
    assert cli.run(*where, "--serde", "msgpack").json() == "b'\\xff'"


def test_what_is_shown_is_always_json(cli: CommandLine, served: Server) -> None:
    """No number that JSON does not have, and no letter that can't be written."""
    where = ("call", "-u", served[1], "--serde", "pickle", "back")
    assert cli.run(*where, "NaN").out == '"[[nan], {}]"\n'
    assert cli.run(*where, '"\\ud800"').out == '[["\\ud800"], {}]\n'
    latin = cli.run(*where, "snow: \u2603", env={"PYTHONIOENCODING": "latin-1"})
    assert latin.out == '[["snow: \\u2603"], {}]\n'
    deep = "[" * 50_000
    assert parse([deep]) == ([deep], {})


def test_options_are_called_as_they_are_here(cli: CommandLine) -> None:
    _, url = cli.up("serve", "functions.py", "--no-pickle", "--max-message", "1000")
    where = ("call", "-u", url, "back")
    cli.run(*where, "x", "--serde", "pickle").refused(9, "--no-pickle", "--serde json")
    cli.run(*where, "x" * 1001).refused(8, "--max-message")


def test_wrong_usage_is_refused_before_anything_is_called(cli: CommandLine) -> None:
    cli.run("call").refused(2, "FUNCTION", "daffi call --help")
    cli.run("call", "add", "--foo").refused(2, "no such option: --foo")
    cli.run("call", "add", "a=1", "2").refused(2, "come first")
    cli.run("call", "add", "a=1", "a=2").refused(2, "twice")
    cli.run("call", "_add").refused(2, "_add")
    cli.run("call", "f", "--receiver", "a", "--receiver", "b").refused(2, "--cast")
    cli.run("call", "f", "--serde", "opaque").refused(2, "one argument")
    cli.run("call", "f", "--tls-cert", "x").refused(3, "--tls-key")
    cli.run("call", "f", "--timeout", "nan").refused(2, "nan")
    cli.run("nope").refused(2, "nope", "daffi --help")


def test_other_formats(cli: CommandLine, served: Server) -> None:
    for serde in ("msgpack", "pickle"):
        assert cli.run("call", "-u", served[1], "--serde", serde, "add", "1", "2").out == "3\n"
    done = cli.run("call", "-u", served[1], "--serde", "opaque", "shout", "a=b")
    assert done == (0, "A=B", "")
    done = cli.run("call", "-u", served[1], "--serde", "pickle", "shout", "a=b")
    done.refused(1, "TypeError")

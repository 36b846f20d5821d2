"""`daffi top`. Imports `options`, `rates`, `screen` and `serving`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from daffi import Client
from daffi.cli import options, screen, serving
from daffi.cli.rates import between
from daffi.exceptions import Disconnected
from daffi.sync import ClientConnection

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table

_WIDE = 72  # columns from which everything is shown


@click.command(
    epilog="""\b
Examples:
  daffi top
  daffi top tcp://127.0.0.1:7700 --interval 5
  daffi top --json --count 10 > rates.jsonl
"""
)
@options.client(argument=True)
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="Seconds from one look to the next.",
)
@click.option(
    "--count",
    metavar="N",
    type=click.IntRange(min=1),
    help="End after so many; on a terminal, and with --json, it goes on until Ctrl-C otherwise.",
)
@options.as_json
def top(client: dict[str, Any], interval: float, count: int | None, as_json: bool) -> None:
    """Watch calls, errors and queues of a server, live.

    What came each second, what is under way and what waits. The counters are the server's own: of
    a Router they are about all of its workers.
    """
    node = Client(**client)
    live = screen.at_terminal() and not as_json and count is None
    if count is None and not as_json and not live:
        count = 1
    with node as conn:
        looks = _looks(node, conn, interval)
        if live:
            _watch(node, looks)
            return
        for number, look in enumerate(looks, 1):
            if look is not None and as_json:
                screen.show_json(look)
            elif look is not None:
                screen.console().print(_page(look, None))
            if number == count:
                return


def _looks(
    node: Client, conn: ClientConnection, interval: float
) -> Iterator[dict[str, Any] | None]:
    """What is to be shown, once in each interval; None while the connection is lost."""
    before, since = conn.server_stats(), time.monotonic()
    while True:
        time.sleep(interval)
        try:
            if not node.stats()["connections"]:
                raise Disconnected
            offered = conn.members()
            after, now = conn.server_stats(), time.monotonic()
        except (Disconnected, TimeoutError):
            yield None
            continue
        look = between(before, after, now - since)
        before, since = after, now
        look["members"].pop(node.app_name, None)
        for member in offered:
            for function in member.functions:
                counted = look["functions"].setdefault(str(function), {})
                counted["workers"] = counted.get("workers", 0) + 1
        yield {"server": node.server_name(), "address": serving.address(node), **look}


def _watch(node: Client, looks: Iterator[dict[str, Any] | None]) -> None:
    """On the whole screen, until Ctrl-C."""
    from rich.live import Live
    from rich.text import Text

    console = screen.console()
    waiting = Text(f"{node.server_name()}: the first look takes a moment")
    with Live(waiting, console=console, screen=True, auto_refresh=False) as live:
        try:
            for look in looks:
                lost = Text("the connection is lost; waiting for the server", "yellow")
                live.update(_page(look, console) if look else lost, refresh=True)
        except KeyboardInterrupt:
            return


def _page(look: dict[str, Any], console: Console | None) -> Group:
    """One look; as much of it as fits on the console, if one is given."""
    from rich.console import Group
    from rich.text import Text

    width = (console or screen.console()).width
    room = (
        max(1, (console.height - 8) // 2)
        if console
        else len(look["functions"]) + len(look["members"])
    )
    calls = f"{screen.per_second(look['calls_per_second'])} calls/s"
    errors = f"{screen.per_second(look['errors_per_second'])} errors/s"
    head = Text.assemble(
        (look["server"], "bold"), f" at {look['address']}, up {screen.span(look['uptime'])}"
    )
    now = Text.assemble(
        calls, ", ", (errors, "red" if look["errors_per_second"] else ""),
        f", {screen.count(look['calls_in_flight'])} in flight,"
        f" {screen.count(look['queued'])} queued",
    )  # fmt: skip
    return Group(head, now, "", *_functions(look, width, room), "", *_members(look, width, room))


def _functions(look: dict[str, Any], width: int, room: int) -> Iterator[Table | str]:
    wide = width >= _WIDE
    table = screen.table(
        "FUNCTION", "CALLS/S", "ERRORS/S", "IN FLIGHT", *("CALLS", "ERRORS", "WORKERS") * wide
    )
    rows = sorted(look["functions"].items(), key=_busiest)
    for name, counted in rows[:room]:
        more = (counted.get(key, 0) for key in ("calls", "errors", "workers"))
        _row(table, name, counted, *map(screen.count, more if wide else ()))
    yield table
    if len(rows) > room:
        yield f"and {len(rows) - room} more"


def _members(look: dict[str, Any], width: int, room: int) -> Iterator[Table | str]:
    wide = width >= _WIDE
    table = screen.table(
        "MEMBER", "CALLS/S", "ERRORS/S", "IN FLIGHT", "QUEUED", *("IN/S", "OUT/S") * wide
    )
    rows = sorted(look["members"].items(), key=_busiest)
    for name, counted in rows[:room]:
        traffic = (counted[f"bytes_{way}_per_second"] for way in ("received", "sent"))
        queued = screen.count(counted["queued"])
        _row(table, name, counted, queued, *map(screen.size, traffic if wide else ()))
    yield table
    if len(rows) > room:
        yield f"and {len(rows) - room} more"


def _busiest(row: tuple[str, dict[str, Any]]) -> tuple[float, str]:
    return -row[1].get("calls_per_second", 0), row[0]


def _row(table: Table, name: str, counted: dict[str, Any], *more: str) -> None:
    from rich.text import Text

    errors = counted.get("errors_per_second", 0)
    table.add_row(
        Text(name, "cyan"),
        screen.per_second(counted.get("calls_per_second", 0)),
        Text(screen.per_second(errors), "red" if errors else ""),
        screen.count(counted.get("calls_in_flight", 0)),
        *more,
    )

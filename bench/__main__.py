"""`python -m bench`: measure this daffi beside daffi 3.0.1, and show both.

Lives here: the command line and the order of the runs. Imports `comparing`, `contest`, `curves`,
`environments`, `machine`, `report`, `row`, `rows`, `saved` and `stage`.
"""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import comparing, contest, environments, machine, report, saved
from bench.children import ChildFailed
from bench.curves import CURVES
from bench.environments import EnvironmentMissing
from bench.figures import Series
from bench.row import BEFORE, OURS, Row, choose
from bench.rows import ROWS
from bench.stage import PINNED, UNPINNED, Setting, Side, measure, seats

SMOKE_SECONDS = 0.02
WIDTH = 160  # of a table that goes to a file


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", metavar="NAMES", help="names or patterns, comma-separated")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side (3)")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a run (0.4)")
    parser.add_argument(
        "--place",
        choices=(UNPINNED, PINNED, "both"),
        default="both",
        help="where processes run: anywhere, on one CPU for each side of a call, or both (both)",
    )
    parser.add_argument("--peers", metavar="NAMES", default="", help="measure others too, or all")
    parser.add_argument("--curves", action="store_true", help="the scale curves, nothing else")
    parser.add_argument("--compare", metavar="FILE", type=Path, help="exit 1 if slower than this")
    parser.add_argument(
        "--tolerance", type=float, default=comparing.TOLERANCE, help="what is slower (0.1: 10 %%)"
    )
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the results there")
    parser.add_argument("--smoke", action="store_true", help="only see that every scenario runs")
    parser.add_argument("--ours", metavar="PYTHON", help="interpreter to use instead of this one")
    parser.add_argument("--peer", metavar="PYTHON", help="one with a daffi other than 3.0.1")
    parser.add_argument(
        "--uvloop", action="store_true", help="asyncio rows on uvloop, both sides; only these"
    )
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    options = parser.parse_args(given)
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds are above zero")
    # Curves are shapes, and a smoke run no comparison: wherever the system puts their processes.
    place = UNPINNED if options.smoke or options.curves else options.place
    only = options.only or ("aio_*" if options.uvloop else None)
    try:
        options.rows = [] if options.curves else choose(only, ROWS)
        options.curves = choose(only, CURVES) if options.curves else []
        options.peers = contest.invite(options.peers)
        options.before = saved.read(options.compare) if options.compare else None
    except ValueError as error:
        parser.error(str(error))
    options.places = {name: seat for name, seat in seats().items() if place in (name, "both")}
    if not options.places:
        parser.error("pinning takes Linux and two CPUs that this process may use")
    if options.smoke:
        options.rounds, options.seconds = 1, SMOKE_SECONDS
        options.curves = [replace(each, points=each.points[:2]) for each in options.curves]
    return options


def invited(options: argparse.Namespace, console: Console) -> list[Side]:
    """All who are measured, with their environments made."""
    ours = options.ours or sys.executable
    sides = [Side(OURS, ours)]
    if not options.smoke and any(row.before for row in options.rows):
        with console.status("preparing daffi 3.0.1 in build/"):
            before = options.peer or environments.prepare(ours, "before", environments.BEFORE)
        sides.append(Side(BEFORE, before))
    if options.peers:
        with console.status("preparing the others in build/"):
            python = environments.prepare(ours, "others", environments.OTHERS)
        for peer in options.peers:
            if peer.name == "nats" and contest.nats_server() is None:
                console.print("left out: NATS, nats-server is missing", style="yellow")
                continue
            sides.append(Side(peer.name, python, peer))
    return sides


def plan(options: argparse.Namespace, sides: Sequence[Side]) -> Iterator[tuple[str, Row, Side]]:
    """Every run in its order: A B A B, row by row; a curve's points one after another."""
    for row in options.rows:
        for place in options.places:
            if place == PINNED and not row.placed and UNPINNED in options.places:
                continue
            for _ in range(options.rounds):
                for side in sides:
                    if side.joins(row):
                        yield place, row, side
    for curve in options.curves:
        for _ in range(options.rounds):
            for point in curve.points:
                yield next(iter(options.places)), curve.at(point), sides[0]


def run(options: argparse.Namespace, sides: Sequence[Side], console: Console) -> int:
    """Measure, show and save; 1 if ours failed or got slower, 130 on Ctrl-C."""
    facts = machine.facts()
    setting = Setting(options.seconds, options.uvloop, options.smoke)
    found: dict[str, dict[str, dict[str, Series]]] = {place: {} for place in options.places}
    versions: dict[str, str] = {}
    stopped = False
    runs = list(plan(options, sides))
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(runs))
        try:
            for place, row, side in runs:
                progress.update(task, description=f"{row.name}, {side.name}")
                series = found[place].setdefault(row.name, {}).setdefault(side.name, Series())
                try:
                    answer = measure(row, side, setting, options.places[place])
                except ChildFailed as error:
                    series.failures.append(str(error))
                else:
                    series.add(answer)
                    if row.part != "floor":
                        versions[side.name] = answer["version"]
                progress.advance(task)
        except KeyboardInterrupt:
            stopped = True
    report.show(console, options.rows, found, versions)
    for results in found.values():
        report.show_curves(console, options.curves, results)
    settings: dict[str, Any] = {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "uvloop": options.uvloop,
        "complete": not stopped,
    }
    content = saved.run(options.rows, options.curves, found, versions, facts, settings)
    if options.out or not options.smoke:
        path = saved.write(options.out or saved.new("bench"), content)
        console.print(f"written to {path}", markup=False, soft_wrap=True)
    if stopped:
        return 130
    slower = options.before and comparing.show(console, options.before, content, options.tolerance)
    failed = any(row[OURS].failures for results in found.values() for row in results.values())
    return int(bool(slower or failed))


def main(given: Sequence[str] | None = None) -> int:
    """Run the program; the exit code."""
    options = arguments(given)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if options.list:
        for each in (*options.rows, *options.curves):
            console.print(f"{each.name:<21}{each.title}", highlight=False, markup=False)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sides = invited(options, console)
    except EnvironmentMissing as error:
        console.print(str(error), style="red", markup=False)
        return 2
    return run(options, sides, console)


if __name__ == "__main__":
    sys.exit(main())

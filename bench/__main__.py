"""`python -m bench`: measure this daffi beside daffi 3.0.1, and show both.

Lives here: the command line and the order of the runs. Imports `machine`, `peer`, `report`,
`rows`, `stage`.
"""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import machine, peer, report
from bench.children import ChildFailed
from bench.figures import Series
from bench.rows import Row, choose
from bench.stage import Side, measure, seats

SMOKE_SECONDS = 0.05


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", metavar="NAMES", help="names or patterns, comma-separated")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side (3)")
    parser.add_argument("--seconds", type=float, default=0.8, help="length of a run (0.8)")
    parser.add_argument("--pinned", action="store_true", help="one CPU for each side of a call")
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
    try:
        options.rows = choose(options.only or ("aio_*" if options.uvloop else None))
        options.seats = seats(options.pinned)
    except ValueError as error:
        parser.error(str(error))
    if options.smoke:
        options.rounds, options.seconds = 1, SMOKE_SECONDS
    return options


def plan(rows: Sequence[Row], sides: Sequence[Side], rounds: int) -> Iterator[tuple[Row, Side]]:
    """Every run in its order: A B A B, row by row."""
    for row in rows:
        for _ in range(rounds):
            for side in sides:
                if side.name == "ours" or row.peer:
                    yield row, side


def run(options: argparse.Namespace, sides: Sequence[Side], console: Console) -> int:
    """Measure, show and save; 1 if one of our own scenarios failed, 130 on Ctrl-C."""
    facts = machine.facts()
    runs = list(plan(options.rows, sides, options.rounds))
    results: dict[str, dict[str, Series]] = {}
    versions: dict[str, str] = {}
    stopped = False
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(runs))
        try:
            for row, side in runs:
                progress.update(task, description=row.name)
                series = results.setdefault(row.name, {}).setdefault(side.name, Series())
                _take(row, side, options, series, versions)
                progress.advance(task)
        except KeyboardInterrupt:
            stopped = True
    report.show(console, options.rows, results, versions)
    settings: dict[str, Any] = {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "pinned": options.pinned,
        "uvloop": options.uvloop,
        "complete": not stopped,
    }
    if not options.smoke and results:
        path = report.save(options.rows, results, versions, facts, settings)
        console.print(f"written to bench/results/{path.name}")
    if stopped:
        return 130
    return int(any(sides["ours"].failures for sides in results.values()))


def _take(
    row: Row,
    side: Side,
    options: argparse.Namespace,
    series: Series,
    versions: dict[str, str],
) -> None:
    try:
        answer = measure(row, side, options.seconds, options.seats, options.uvloop)
    except ChildFailed as error:
        series.failures.append(str(error))
        return
    series.values.append(answer["value"])
    if "version" in answer:
        versions[side.name] = answer["version"]


def main(given: Sequence[str] | None = None) -> int:
    """Run the program; the exit code."""
    options = arguments(given)
    console = Console(width=None if sys.stdout.isatty() else 120)
    if options.list:
        for row in options.rows:
            console.print(f"{row.name:<18}{row.title}", highlight=False)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    ours = options.ours or sys.executable
    sides = [Side("ours", ours)]
    try:
        if not options.smoke:
            with console.status("preparing daffi 3.0.1 in build/"):
                sides.append(Side("peer", options.peer or peer.prepare(ours)))
    except peer.PeerMissing as error:
        console.print(str(error), style="red", markup=False)
        return 2
    return run(options, sides, console)


if __name__ == "__main__":
    sys.exit(main())

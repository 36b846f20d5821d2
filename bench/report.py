"""Showing the results in the terminal.

Lives here: formatting only. Imports `contest`, `figures`, `row` and `rows`.
"""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from bench.contest import PEERS
from bench.figures import Results, Series, ratio, reaches, rise
from bench.row import BEFORE, OURS, Bars, Curve, Row
from bench.rows import PARTS


def number(value: float) -> str:
    """Three digits that count, thousands marked."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(series: Series | None) -> str:
    """The median, and the range where there is one."""
    if series is None:
        return ""
    if series.median is None:
        return "[red]failed[/red]" if series.failures else ""
    text = number(series.median)
    if len(series.values) > 1:
        text += f" [dim]({number(min(series.values))} to {number(max(series.values))})[/dim]"
    return f"{text} [red]+{len(series.failures)} failed[/red]" if series.failures else text


def _bars(row: Row, bars: Bars, results: Results) -> str:
    marks = {True: "[green]{} yes[/green]", False: "[red]{} no[/red]", None: "[dim]{}[/dim]"}
    return ", ".join(marks[reaches(row, bar, results)].format(bar) for bar in bars)


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in left:
        table.add_column(name)
    for name in right:
        table.add_column(name, justify="right")
    return table


def show(
    console: Console,
    rows: Sequence[Row],
    found: Mapping[str, Results],
    versions: Mapping[str, str],
) -> None:
    """Print the comparisons of each placement, and the reason of every failure."""
    for place, results in found.items():
        done = [row for row in rows if row.name in results]
        for part, title in PARTS.items():
            some = [row for row in done if row.part == part]
            if some:
                name = f"{title}, {place}: median (range)"
                console.print(_comparison(name, some, results, versions))
        for table in (_peers(place, done, results, versions), _costs(place, done, results)):
            if table.row_count:
                console.print(table)
        for row in done:
            _failures(console, f"{row.name}, {place}", results[row.name])


def _failures(console: Console, name: str, sides: Mapping[str, Series]) -> None:
    for side, series in sides.items():
        for reason in dict.fromkeys(series.failures):
            console.print(f"{name}, {side}: {reason}", style="red", markup=False)


def _comparison(
    title: str, rows: Sequence[Row], results: Results, versions: Mapping[str, str]
) -> Table:
    both = any(BEFORE in results[row.name] for row in rows)
    held = any(row.must for row in rows)
    right = [versions.get(OURS, "daffi")]
    right += [versions.get(BEFORE, BEFORE), "ratio"] if both else []
    table = _table(title, ["scenario", "unit"], right + (["must", "aim"] if held else []))
    for row in rows:
        sides, reached = results[row.name], ratio(row, results)
        cells = [row.title, row.unit, spread(sides.get(OURS))]
        if both:
            cells += [spread(sides.get(BEFORE)), "" if reached is None else f"{reached:.2f}"]
        if held:
            cells += [_bars(row, bars, results) for bars in (row.must, row.aim)]
        table.add_row(*cells)
    return table


def _peers(place: str, rows: Sequence[Row], results: Results, versions: Mapping[str, str]) -> Table:
    table = _table(
        f"beside others, {place}: median (range)",
        ["scenario", "unit", "who"],
        ["figure", "we are", "CPU us a call"],
    )
    for row in rows:
        others = [peer for peer in PEERS if peer.name in results[row.name]]
        if not others:
            continue
        sides = results[row.name]
        first = [row.title, row.unit, versions.get(OURS, "daffi"), spread(sides[OURS]), ""]
        table.add_row(*first, _cpu(sides[OURS]))
        for peer in others:
            who = versions.get(peer.name, peer.title)
            times = ratio(row, results, peer.name)
            shown = "" if times is None else f"{times:.2f} x"
            table.add_row("", "", who, spread(sides[peer.name]), shown, _cpu(sides[peer.name]))
        table.add_section()
    return table


def _cpu(series: Series) -> str:
    return "" if series.cpu is None else number(series.cpu)


def _costs(place: str, rows: Sequence[Row], results: Results) -> Table:
    table = _table(
        f"CPU for each call, {place}: us, user and system, all processes",
        ["scenario", "ours, by process"],
        ["ours", BEFORE, "theirs by ours"],
    )
    for row in rows:
        ours, theirs = results[row.name].get(OURS), results[row.name].get(BEFORE)
        if ours and theirs and ours.cpu and theirs.cpu:
            parts = ", ".join(f"{role} {number(cost)}" for role, cost in ours.cost.items())
            times = f"{theirs.cpu / ours.cpu:.2f}"
            table.add_row(row.title, parts, number(ours.cpu), number(theirs.cpu), times)
    return table


def show_curves(console: Console, curves: Sequence[Curve], results: Results) -> None:
    """Print every point of every curve, with what it is of the first."""
    for curve in curves:
        points = [each for each in curve.points if curve.at(each).name in results]
        if not points:
            continue
        table = _table(
            f"{curve.name}: {curve.title}: median (range)",
            [curve.axis],
            [curve.row.unit, "of the first", "CPU us a call, by process"],
        )
        medians: list[float] = []
        for point in points:
            series = results[curve.at(point).name][OURS]
            cost = ", ".join(f"{role} {number(us)}" for role, us in series.cost.items())
            if series.median is not None:
                medians.append(series.median)
            part = number(medians[-1] / medians[0]) if medians else ""
            table.add_row(f"{point:,}", spread(series), part, cost)
        console.print(table)
        if curve.flat and medians:
            risen = rise(medians)
            word = "[green]flat[/green]" if risen <= curve.flat else "[red]bends[/red]"
            console.print(f"{word}: rises {risen:.2f} times at most, may {curve.flat:g}")
        for point in points:
            name = curve.at(point).name
            _failures(console, name, results[name])

"""Showing the results: tables in the terminal, JSON in `bench/results/`.

Lives here: formatting only. Imports `figures` and `rows`.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import Results, Series, ratio, verdict
from bench.rows import Row

FOLDER = Path(__file__).resolve().parent / "results"


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


def _must(row: Row) -> str:
    if row.limit is not None:
        return f"at most {number(row.limit)}"
    if row.must is None:
        return ""
    return f"{row.must:g} x {row.than}" if row.than else f"{row.must:g}"


def show(console: Console, rows: Sequence[Row], results: Results, versions: dict[str, str]) -> None:
    """Print the comparisons, the floor, and the reason of every failure."""
    done = [row for row in rows if row.name in results]
    for part, title in (("blocking", "blocking calls"), ("asyncio", "asyncio")):
        calls = [row for row in done if row.part == part]
        if calls:
            console.print(_comparison(f"{title}: median (range)", calls, results, versions))
    floors = [row for row in done if row.part == "floor"]
    if floors:
        table = Table(title="the floor: plain Python sockets, echo")
        for name in ("message", "unit"):
            table.add_column(name)
        table.add_column("median (range)", justify="right")
        for row in floors:
            table.add_row(row.title, row.unit, spread(results[row.name]["ours"]))
        console.print(table)
    for row in done:
        for side, series in results[row.name].items():
            for reason in dict.fromkeys(series.failures):
                console.print(f"{row.name}, {side}: {reason}", style="red", markup=False)


def _comparison(
    title: str, rows: Sequence[Row], results: Results, versions: dict[str, str]
) -> Table:
    both = any("peer" in results[row.name] for row in rows)
    table = Table(title=title)
    table.add_column("scenario")
    table.add_column("unit")
    table.add_column(f"daffi {versions.get('ours', '')}", justify="right")
    if both:
        table.add_column(f"daffi {versions.get('peer', '')}", justify="right")
        for name in ("ratio", "must", ""):
            table.add_column(name, justify="right")
    for row in rows:
        sides = results[row.name]
        cells = [row.title, row.unit, spread(sides.get("ours"))]
        if both:
            reached, good = ratio(row, results), verdict(row, results)
            mark = {True: "[green]yes[/green]", False: "[red]no[/red]", None: ""}[good]
            cells += [
                spread(sides.get("peer")),
                "" if reached is None else f"{reached:.2f}",
                _must(row),
                mark,
            ]
        table.add_row(*cells)
    return table


def save(
    rows: Sequence[Row],
    results: Results,
    versions: dict[str, str],
    machine: dict[str, Any],
    settings: dict[str, Any],
) -> Path:
    """Write everything that was measured to a new JSON file."""
    table = [
        {
            "name": row.name,
            "title": row.title,
            "unit": row.unit,
            "part": row.part,
            "less_is_better": row.less,
            "must": row.must,
            "than": row.than,
            "limit": row.limit,
            "ratio": None if row.part == "floor" else ratio(row, results),
            "reached": None if row.part == "floor" else verdict(row, results),
            "sides": {side: series.facts() for side, series in results[row.name].items()},
        }
        for row in rows
        if row.name in results
    ]
    now = datetime.now(timezone.utc)
    content = {
        "when": now.isoformat(timespec="seconds"),
        "machine": machine,
        "versions": versions,
        "settings": settings,
        "rows": table,
    }
    return write(f"bench-{now:%Y%m%d-%H%M%S}.json", content)


def write(name: str, content: dict[str, Any]) -> Path:
    """Write one JSON file into the folder of results."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / name
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path

"""What got slower since an earlier run.

Lives here: comparing two runs of the bench, ours with ours. Imports nothing of ours.

A row is slower if its median is worse than before by more than the tolerance *and* the two
ranges don't touch. Both are needed: medians move by some percent from run to run, and a range
that is wide on a busy machine says that nothing is known.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

TOLERANCE = 0.1
SAME = ("processor", "cpus_usable", "python")  # what must agree for times to mean the same


class Change(NamedTuple):
    """One row that was measured both times."""

    name: str
    unit: str
    before: Mapping[str, Any]
    now: Mapping[str, Any]
    less: bool

    @property
    def worse(self) -> float:
        """How much longer it takes: 0.1 is a tenth, below zero is faster."""
        one, other = self.before["median"], self.now["median"]
        return float(other / one if self.less else one / other) - 1

    @property
    def apart(self) -> bool:
        """Whether the ranges don't touch."""
        return bool(self.now["min"] > self.before["max"] or self.now["max"] < self.before["min"])


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    """All rows and points that both runs have figures of."""
    earlier = dict(_ours(before))
    for name, (figures, unit, less) in _ours(now):
        if name in earlier and earlier[name][0]["median"] and figures["median"]:
            yield Change(name, unit, earlier[name][0], figures, less)


def _ours(content: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Mapping[str, Any], str, bool]]]:
    for place, rows in content["rows"].items():
        for row in rows:
            if "ours" in row["sides"]:
                figures = row["sides"]["ours"]
                yield f"{row['name']}, {place}", (figures, row["unit"], row["less_is_better"])
    for curve in content["curves"]:
        for point in curve["points"]:
            yield f"{curve['name']} at {point['at']:,}", (point, curve["unit"], True)


def show(
    console: Console, before: Mapping[str, Any], now: Mapping[str, Any], tolerance: float
) -> bool:
    """Print what got slower; whether anything did."""
    for name in SAME:
        one, other = before["machine"].get(name), now["machine"].get(name)
        if one != other:
            console.print(f"another {name}: {one} then, {other} now", style="yellow", markup=False)
    both = list(changes(before, now))
    slower = [each for each in both if each.worse > tolerance and each.apart]
    if not both:
        console.print("no row was measured both times", style="yellow")
    elif not slower:
        console.print(f"nothing of {len(both)} figures got slower by more than {tolerance:.0%}")
    else:
        table = Table(title=f"slower than before by more than {tolerance:.0%}")
        table.add_column("what")
        table.add_column("unit")
        for name in ("before (range)", "now (range)", "slower by"):
            table.add_column(name, justify="right")
        for each in sorted(slower, key=lambda each: -each.worse):
            cells = [each.name, each.unit, _spread(each.before), _spread(each.now)]
            table.add_row(*cells, f"[red]{each.worse:.0%}[/red]")
        console.print(table)
    return bool(slower)


def _spread(figures: Mapping[str, Any]) -> str:
    return "{median:,.4g} ({min:,.4g} to {max:,.4g})".format(**figures)

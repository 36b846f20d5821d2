"""What measured values say: median, range, ratio, cost, and whether that is enough.

Lives here: arithmetic. Imports `row`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.row import BEFORE, OURS, Bar, Bars, Row


@dataclass
class Series:
    """The values of one row on one side, in the order in which they were taken."""

    values: list[float] = field(default_factory=list)
    costs: list[dict[str, float]] = field(default_factory=list)  # us of CPU for each, by role
    failures: list[str] = field(default_factory=list)

    @property
    def median(self) -> float | None:
        return median(self.values) if self.values else None

    @property
    def cost(self) -> dict[str, float]:
        """The median cost by role."""
        roles = self.costs[0] if self.costs else {}
        return {role: median(cost[role] for cost in self.costs) for role in roles}

    @property
    def cpu(self) -> float | None:
        """Microseconds of CPU for each call, of all processes together."""
        return sum(self.cost.values()) or None

    def add(self, answer: Mapping[str, Any]) -> None:
        """Take in what a child said."""
        self.values.append(answer["value"])
        if answer.get("cpu"):
            self.costs.append(answer["cpu"])

    def facts(self) -> dict[str, Any]:
        """As plain JSON values."""
        low, high = (min(self.values), max(self.values)) if self.values else (None, None)
        return {
            "median": self.median,
            "min": low,
            "max": high,
            "values": self.values,
            "cpu_us": self.cost,
            "failures": [reason.partition("\n")[0] for reason in self.failures],
        }


Results = Mapping[str, Mapping[str, Series]]  # row name, side name


def ratio(row: Row, results: Results, than: str = BEFORE) -> float | None:
    """How many times as good we are as another side of the row, or as another row of ours."""
    mine = results[row.name][OURS].median
    other = results[than].get(OURS) if than in results else results[row.name].get(than)
    if not mine or not other or not other.median:
        return None
    return other.median / mine if row.less else mine / other.median


def reaches(row: Row, bar: Bar, results: Results) -> bool | None:
    """Whether the row reaches that bar; `None` if it can't be told."""
    if bar.than is None:
        mine = results[row.name][OURS].median
        return None if mine is None else mine <= bar.times
    reached = ratio(row, results, bar.than)
    return None if reached is None else reached >= bar.times


def verdict(row: Row, bars: Bars, results: Results) -> bool | None:
    """Whether the row reaches all of them that can be told; `None` if none can."""
    told = [reached for bar in bars if (reached := reaches(row, bar, results)) is not None]
    return all(told) if told else None


def rise(medians: Sequence[float]) -> float:
    """The most that a point is above the least of those before it; 1 if it only falls."""
    least, most = medians[0], 1.0
    for value in medians:
        most = max(most, value / least)
        least = min(least, value)
    return most

"""What a row of the tables is, and the bars that it is held to.

Lives here: the shapes, and choosing among them by name. Imports nothing of ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

BEFORE = "3.0.1"  # the side that every ratio is to, where nothing else is said
OURS = "ours"


@dataclass(frozen=True)
class Bar:
    """One thing that a row is held to.

    `than` is another side of the same row, or another row of ours; without it `times` is the
    figure itself that must not be passed.
    """

    times: float
    than: str | None = BEFORE

    def __str__(self) -> str:
        if self.than is None:
            return f"at most {self.times:g}"
        if self.than == BEFORE:
            return f"{self.times:g}"
        return self.than if self.times == 1 else f"{self.times:g} x {self.than}"


Bars = tuple[Bar, ...]


@dataclass(frozen=True)
class Row:
    """One scenario as the table shows it."""

    name: str
    title: str
    unit: str
    scenario: str  # module:function of the child that measures
    stack: str = "service"  # which processes serve, see bench.stage
    options: dict[str, Any] = field(default_factory=dict)
    must: Bars = ()  # the least that is acceptable
    aim: Bars = ()  # what prototypes say is possible
    less: bool = False  # a smaller figure is the better one
    before: bool = True  # daffi 3.0.1 can do it
    placed: bool = True  # where its processes run matters, so it is measured pinned too
    part: str = "blocking"  # which table it stands in
    tiny: dict[str, Any] = field(default_factory=dict)  # options of a smoke run


@dataclass(frozen=True)
class Curve:
    """One scenario at several sizes: a line of a plot."""

    name: str
    title: str
    along: str  # the option that grows
    axis: str  # what it is called on the plot
    points: Sequence[int]
    row: Row  # everything but the size
    flat: float | None = None  # no point may be so many times what an earlier one was

    def at(self, point: int) -> Row:
        """The row that measures one point."""
        options = {**self.row.options, self.along: point}
        return replace(self.row, name=f"{self.name}@{point}", options=options)


def choose(only: str | None, there: Sequence[Any]) -> list[Any]:
    """Those whose names match one of the comma-separated patterns; all for `None`.

    A pattern is a name, or a shell pattern like `echo_*`. A pattern that matches nothing is a
    `ValueError` that lists the names.
    """
    patterns = [pattern.strip() for pattern in (only or "*").split(",") if pattern.strip()]
    for pattern in patterns:
        if not any(fnmatchcase(each.name, pattern) for each in there):
            names = ", ".join(each.name for each in there)
            raise ValueError(f"nothing is called {pattern!r}; there are: {names}")
    return [one for one in there if any(fnmatchcase(one.name, each) for each in patterns)]

"""The plots of the documentation, as SVG, from published results.

Lives here: drawing. The same results give the same file, byte for byte. Imports `contest`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.contest import PEERS

Content = Mapping[str, Any]
Draw = Callable[[Content], Figure | None]

plt.rcParams.update(
    {
        "svg.fonttype": "none",  # text stays text: small, and the page's own fonts
        "svg.hashsalt": "daffi",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "legend.frameon": False,
        "figure.facecolor": "white",
    }
)

OURS, THEIRS, MUST, AIM = "#c2410c", "#64748b", "#94a3b8", "#16a34a"
GIB = 1 << 30


def save(content: Content, draw: Draw, path: Path) -> bool:
    """Draw one plot into a file; whether there was anything to draw."""
    figure = draw(content)
    if figure is None:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    return True


def _title(row: Content) -> str:
    return f"asyncio, {row['title']}" if row["part"] == "asyncio" else str(row["title"])


def _bar(row: Content, level: str) -> float | None:
    """The ratio to 3.0.1 that a row is held to."""
    return next((bar["times"] for bar in row[level] if bar["than"] == "3.0.1"), None)


def ratios(content: Content) -> Figure | None:
    """How many times as good as 3.0.1 each row is, with what it must be and aims at."""
    places = {
        place: {row["name"]: row for row in rows if row["ratio"]}
        for place, rows in content["rows"].items()
    }
    names = list(dict.fromkeys(name for rows in places.values() for name in rows))[::-1]
    if not names:
        return None
    figure, axes = plt.subplots(figsize=(8, 0.6 + 0.27 * len(names)))
    for (place, rows), marker in zip(places.items(), "oD", strict=False):
        spots = [(rows[name]["ratio"], at) for at, name in enumerate(names) if name in rows]
        fill = OURS if marker == "o" else "white"
        axes.plot(*zip(*spots, strict=True), marker, color=OURS, markerfacecolor=fill, label=place)
    for level, colour in (("must", MUST), ("aim", AIM)):
        rows = {name: row for rows in places.values() for name, row in rows.items()}
        bars = [(bar, at) for at, name in enumerate(names) if (bar := _bar(rows[name], level))]
        if bars:
            axes.plot(*zip(*bars, strict=True), "|", color=colour, ms=11, mew=2, label=level)
    titles = {row["name"]: _title(row) for rows in places.values() for row in rows.values()}
    axes.set_yticks(range(len(names)), [titles[name] for name in names])
    axes.set_xscale("log")
    axes.axvline(1, color="black", lw=0.8)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(axis="x", which="both", color="#e2e8f0", lw=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("times as good as daffi 3.0.1; right is better")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)
    return figure


def _sides(rows: Sequence[Content]) -> Iterator[tuple[Content, list[tuple[str, Content]]]]:
    """Rows in which somebody else was measured, with everybody's figures, ours first."""
    titles = {"ours": "daffi", "3.0.1": "daffi 3.0.1", **{peer.name: peer.title for peer in PEERS}}
    for row in rows:
        sides = [(titles[side], row["sides"][side]) for side in titles if side in row["sides"]]
        if any(peer.name in row["sides"] for peer in PEERS):
            yield row, [(title, facts) for title, facts in sides if facts["median"]]


def others(content: Content) -> Figure | None:
    """The rows in which other libraries were measured, one small plot for each."""
    rows = list(_sides(content["rows"].get("unpinned", [])))
    if not rows:
        return None
    figure, grid = _grid(len(rows), 3, 2.1)
    for axes, (row, sides) in zip(grid, rows, strict=True):
        titles = [title for title, _ in sides][::-1]
        values = [facts["median"] for _, facts in sides][::-1]
        reach = [
            [facts["median"] - facts["min"] for _, facts in sides][::-1],
            [facts["max"] - facts["median"] for _, facts in sides][::-1],
        ]
        colours = [OURS if title == "daffi" else THEIRS for title in titles]
        axes.barh(titles, values, xerr=reach, color=colours, ecolor="#0f172a", height=0.7)
        axes.set_title(f"{_title(row)}, {row['unit']}")
        axes.xaxis.set_major_formatter(_short)
    return figure


def costs(content: Content) -> Figure | None:
    """CPU of all processes for each call, beside 3.0.1."""
    rows = [
        row
        for row in content["rows"].get("unpinned", [])
        if all(row["sides"].get(side, {}).get("cpu_us") for side in ("ours", "3.0.1"))
        and row["unit"] in ("calls/s", "items/s", "casts/s")
    ][::-1]
    if not rows:
        return None
    figure, axes = plt.subplots(figsize=(8, 0.6 + 0.32 * len(rows)))
    for side, shift, colour in (("3.0.1", -0.2, THEIRS), ("ours", 0.2, OURS)):
        values = [sum(row["sides"][side]["cpu_us"].values()) for row in rows]
        spots = [at + shift for at in range(len(rows))]
        title = "daffi" if side == "ours" else "daffi 3.0.1"
        axes.barh(spots, values, height=0.4, color=colour, label=title)
    axes.set_yticks(range(len(rows)), [_title(row) for row in rows])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_short)
    axes.set_xlabel("microseconds of CPU for each call, all processes together; left is better")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, reverse=True)
    return figure


def curves(content: Content) -> Figure | None:
    """Every curve, on axes that are both logarithmic."""
    there = [
        curve for curve in content["curves"] if any(each["median"] for each in curve["points"])
    ]
    if not there:
        return None
    figure, grid = _grid(len(there) + 1, 3, 2.6)
    for axes, curve in zip(grid, there, strict=False):
        _curve(axes, curve)
    payload = next((curve for curve in there if curve["name"] == "payload"), None)
    if payload is None:
        figure.delaxes(grid[-1])
        return figure
    points = [each for each in payload["points"] if each["median"]]
    speeds = [2 * each["at"] / each["median"] * 1e6 / GIB for each in points]
    grid[-1].plot([each["at"] for each in points], speeds, "o-", color=OURS, ms=4)
    grid[-1].set_title("echo OPAQUE, GiB/s both ways")
    _logarithmic(grid[-1], payload["axis"])
    return figure


def _curve(axes: Axes, curve: Content) -> None:
    points = [each for each in curve["points"] if each["median"]]
    spots = [each["at"] for each in points]
    middle = [each["median"] for each in points]
    axes.fill_between(
        spots, [each["min"] for each in points], [each["max"] for each in points], color="#fed7aa"
    )
    axes.plot(spots, middle, "o-", color=OURS, ms=4, label="time" if points[0]["cpu_us"] else None)
    for role, style in zip(points[0]["cpu_us"], (":", "--", "-."), strict=False):
        costs = [each["cpu_us"][role] for each in points]
        axes.plot(spots, costs, style, color=THEIRS, lw=1, label=f"CPU, {role}")
    axes.set_title(curve["title"])
    axes.set_ylabel(curve["unit"])
    _logarithmic(axes, curve["axis"])
    low, high = axes.get_ylim()
    axes.set_ylim(low / 2, high * 2)  # a flat line is to look flat
    if points[0]["cpu_us"]:
        axes.legend(fontsize=7)


def _logarithmic(axes: Axes, label: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(label)
    axes.yaxis.set_major_formatter(_short)
    axes.grid(color="#e2e8f0", lw=0.6)


def _grid(count: int, wide: int, high: float) -> tuple[Figure, list[Axes]]:
    """So many plots in rows of `wide`."""
    lines = -(-count // wide)
    figure, grid = plt.subplots(
        lines, wide, figsize=(12, high * lines), squeeze=False, layout="constrained"
    )
    flat: list[Axes] = list(grid.flat)
    for axes in flat[count:]:
        figure.delaxes(axes)
    return figure, flat[:count]


def _short(value: float, _: object = None) -> str:
    """A number on an axis: 20 k, 1.5, 3 M."""
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"

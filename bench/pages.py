"""`python -m bench.pages`: the figures and plots of the documentation, from published results.

Lives here: what stands between the marks in `docs/benchmarks.md`, and which plots there are.
Reads `bench/published/`: `rows.json` and `curves.json`, each the results of a run of the bench,
and `tried.json`, which lists what was tried and where its figures are. Imports `plots`,
`report` and `saved`.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import plots, saved
from bench.contest import PEERS
from bench.report import number
from bench.rows import PARTS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images" / "bench"

Content = Mapping[str, Any]


def _figure(facts: Content | None) -> str:
    if not facts or facts["median"] is None:
        return ""
    if len(facts["values"]) < 2:
        return number(facts["median"])
    return "{} ({} to {})".format(*(number(facts[name]) for name in ("median", "min", "max")))


def _table(head: Sequence[str], lines: Sequence[Sequence[str]], left: int = 1) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join("---" if at < left else "---:" for at in range(len(head))) + "|"
    for line in lines:
        yield "| " + " | ".join(line) + " |"
    yield ""


def _run(content: Content) -> Iterator[str]:
    """One paragraph: what ran, on what."""
    machine, settings = content["machine"], content["settings"]
    versions = ", ".join(sorted(content["versions"].values()))
    yield f"Measured on {content['when'][:10]} on {machine['processor']}, of which"
    yield f"{machine['cpus_usable']} CPUs could be used, {machine['system']}, Python"
    yield f"{machine['python']}; {versions}. {settings['rounds']} runs of {settings['seconds']:g} s"
    yield "each, interleaved:"
    yield "the median, and the range in brackets."
    yield ""


def _bars(row: Content, level: str) -> str:
    marks = {True: "{}: yes", False: "{}: **no**", None: "{}"}
    return ", ".join(marks[bar["reached"]].format(bar["text"]) for bar in row[level])


def rows(content: Content) -> Iterator[str]:
    """A table for each part of the bench and each placement, then where we are behind."""
    yield from _run(content)
    for part, title in PARTS.items():
        for place, found in content["rows"].items():
            some = [row for row in found if row["part"] == part]
            if not some:
                continue
            before = any("3.0.1" in row["sides"] for row in some)
            held = any(row["must"] for row in some)
            yield f"**{title[0].upper()}{title[1:]}, {place}**"
            yield ""
            head = ["", "unit", "daffi" if part != "floor" else "sockets"]
            head += ["3.0.1", "ratio"] if before else []
            lines = []
            for row in some:
                line = [f"{row['title']} (`{row['name']}`)", row["unit"]]
                line.append(_figure(row["sides"].get("ours")))
                if before:
                    times = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
                    line += [_figure(row["sides"].get("3.0.1")), times]
                lines.append(line + ([_bars(row, "must"), _bars(row, "aim")] if held else []))
            yield from _table(head + (["must", "aim"] if held else []), lines, 2)
    yield from _others(content)
    yield from _behind(content)


def _others(content: Content) -> Iterator[str]:
    there = [peer for peer in PEERS if peer.name in content["versions"]]
    if not there:
        return
    for place, found in content["rows"].items():
        lines = [
            [
                f"{row['title']} (`{row['name']}`)",
                row["unit"],
                *(_figure(row["sides"].get(name)) for name in ("ours", *(p.name for p in there))),
            ]
            for row in found
            if any(peer.name in row["sides"] for peer in there)
        ]
        yield f"**Beside others, {place}**"
        yield ""
        yield from _table(["", "unit", "daffi", *(peer.title for peer in there)], lines, 2)


def _behind(content: Content) -> Iterator[str]:
    """Every bar that a row stays below, and everybody who is ahead of us in it."""
    lines: list[list[str]] = []
    for place, found in content["rows"].items():
        for row in found:
            for level in ("must", "aim"):
                for bar in row[level]:
                    if bar["reached"] is False:
                        mine = row["sides"]["ours"]["median"]
                        reached = number(mine) if bar["is"] is None else f"{bar['is']:.2f}"
                        lines.append([f"`{row['name']}`", place, level, bar["text"], reached])
            lines += [
                [f"`{row['name']}`", place, "ahead of us", peer.title, f"{times:.2f}"]
                for peer in PEERS
                if (times := _times(row, peer.name)) is not None and times < 1
            ]
    yield "### Where we lose"
    yield ""
    if lines:
        yield from _table(["row", "placement", "what", "", "we are"], lines, 4)
    else:
        yield "Nowhere in these runs."
        yield ""


def _times(row: Content, other: str) -> float | None:
    mine, theirs = (row["sides"].get(side, {}).get("median") for side in ("ours", other))
    if not mine or not theirs:
        return None
    return float(theirs / mine if row["less_is_better"] else mine / theirs)


def curves(content: Content) -> Iterator[str]:
    """What every curve does from its first point to its last."""
    yield from _run(content)
    lines = []
    for curve in content["curves"]:
        points = [each for each in curve["points"] if each["median"] is not None]
        if points:
            first, last = points[0], points[-1]
            may = "" if curve["may_rise"] is None else f"{curve['may_rise']:g}"
            ends = [f"{each['at']:,}: {_figure(each)}" for each in (first, last)]
            rises = f"{curve['rises']:.2f}" if may else ""
            lines.append(
                [f"{curve['title']} (`{curve['name']}`)", curve["unit"], *ends, rises, may]
            )
    head = ["", "unit", "first point", "last point", "rises at most", "may rise"]
    yield from _table(head, lines, 2)


def tried(entries: Sequence[Content], folder: Path) -> Iterator[str]:
    """What was tried, with the figures before and after."""
    lines = []
    for entry in entries:
        before, after = (
            _found(saved.read(folder / entry[name]), entry) for name in ("before", "after")
        )
        times = after["median"] / before["median"]
        lines.append(
            [
                entry["what"],
                f"`{entry['row']}`, {entry['placement']}",
                _figure(before),
                _figure(after),
                f"{times:.2f}",
                "kept" if entry["kept"] else "taken out",
            ]
        )
    head = ["what", "row", "before", "after", "after by before", ""]
    yield from _table(head, lines, 2)


def _found(content: Content, entry: Content) -> dict[str, Any]:
    for row in content["rows"].get(entry["placement"], []):
        if row["name"] == entry["row"]:
            facts: dict[str, Any] = row["sides"]["ours"]
            return facts
    raise ValueError(f"no figures of {entry['row']}, {entry['placement']}")


def written(text: str, name: str, lines: Iterator[str]) -> str:
    """The page with what stands between the marks of that name replaced."""
    begin, end = f"<!-- {name}: written by `make bench-plots` -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"the page has no marks for {name}")
    body = "\n".join(lines).rstrip()
    return pattern.sub(lambda _: f"{begin}\n\n{body}\n\n{end}" if body else f"{begin}\n{end}", text)


def _plotted(content: Content, images: Path, page: Path, which: Content) -> Iterator[str]:
    for name, (draw, words) in which.items():
        if plots.save(content, draw, images / f"{name}.svg"):
            where = (images / f"{name}.svg").relative_to(page.parent).as_posix()
            yield f"![{words}]({where})"
            yield ""


ROW_PLOTS = {
    "ratios": (plots.ratios, "Ratio to daffi 3.0.1 in each row"),
    "others": (plots.others, "daffi beside other libraries"),
    "cpu": (plots.costs, "CPU for each call"),
}
CURVE_PLOTS = {"curves": (plots.curves, "Time for each call over sizes and numbers")}


def main(given: Sequence[str] | None = None) -> int:
    """Write the page and the plots; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--published", type=Path, default=saved.PUBLISHED, metavar="FOLDER")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    parser.add_argument("--images", type=Path, default=IMAGES, metavar="FOLDER")
    options = parser.parse_args(given)
    text = options.page.read_text(encoding="utf-8")
    for name, tell, drawn in (("rows", rows, ROW_PLOTS), ("curves", curves, CURVE_PLOTS)):
        path = options.published / f"{name}.json"
        if not path.exists():
            print(f"nothing is published in {path}")
            continue
        content = saved.read(path)
        lines = [*_plotted(content, options.images, options.page, drawn), *tell(content)]
        text = written(text, name, iter(lines))
    entries = options.published / "tried.json"
    if entries.exists():
        listed = json.loads(entries.read_text(encoding="utf-8"))
        text = written(text, "tried", tried(listed, options.published))
    options.page.write_text(text, encoding="utf-8")
    print(f"written: {options.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Results as JSON: written after a run, read by the comparison, the plots and the pages.

Lives here: the shape of the files. `bench/results/` keeps every run; what is published lies in
`bench/published/`. Imports `figures` and `row`.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench.figures import Results, ratio, reaches, rise
from bench.row import OURS, Bars, Curve, Row

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "results"
PUBLISHED = HERE / "published"


def run(
    rows: Sequence[Row],
    curves: Sequence[Curve],
    found: Mapping[str, Results],
    versions: Mapping[str, str],
    machine: dict[str, Any],
    settings: dict[str, Any],
) -> dict[str, Any]:
    """All that a run of the bench found."""
    return {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine,
        "versions": dict(versions),
        "settings": settings,
        "rows": {
            place: [_row(row, results) for row in rows if row.name in results]
            for place, results in found.items()
        },
        "curves": [_curve(curve, results) for results in found.values() for curve in curves],
    }


def _row(row: Row, results: Results) -> dict[str, Any]:
    return {
        "name": row.name,
        "title": row.title,
        "unit": row.unit,
        "part": row.part,
        "less_is_better": row.less,
        "ratio": ratio(row, results),
        "must": _bars(row, row.must, results),
        "aim": _bars(row, row.aim, results),
        "sides": {side: series.facts() for side, series in results[row.name].items()},
    }


def _bars(row: Row, bars: Bars, results: Results) -> list[dict[str, Any]]:
    return [
        {
            "times": bar.times,
            "than": bar.than,
            "text": str(bar),
            "is": ratio(row, results, bar.than) if bar.than else None,
            "reached": reaches(row, bar, results),
        }
        for bar in bars
    ]


def _curve(curve: Curve, results: Results) -> dict[str, Any]:
    points = [
        {"at": point, **results[name][OURS].facts()}
        for point in curve.points
        if (name := curve.at(point).name) in results
    ]
    medians = [point["median"] for point in points if point["median"]]
    return {
        "name": curve.name,
        "title": curve.title,
        "axis": curve.axis,
        "unit": curve.row.unit,
        "may_rise": curve.flat,
        "rises": rise(medians) if medians else None,
        "points": points,
    }


def write(path: Path, content: dict[str, Any]) -> Path:
    """Write one JSON file, and its folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def new(kind: str) -> Path:
    """Where the next results of that kind go."""
    return FOLDER / f"{kind}-{datetime.now(timezone.utc):%Y%m%d-%H%M%S}.json"


def read(path: Path) -> dict[str, Any]:
    """What a run found; `ValueError` if the file is no such thing."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} can't be read: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("rows"), dict):
        raise ValueError(f"{path} holds no results of this bench")
    return content

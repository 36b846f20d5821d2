"""The bench runs: every row, every curve, everybody we are compared with, and what is shown.

Lives here: a smoke run of each scenario over real processes, with the least of everything, and
the command line around it. No figure is judged here: a test machine is busy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
# At the end: an installed daffi comes first, as in the bench's own processes.
sys.path.append(str(ROOT))

from bench import contest, environments, pages  # noqa: E402
from bench.comparing import changes  # noqa: E402
from bench.curves import CURVES  # noqa: E402
from bench.row import OURS, Bar, Curve, Row  # noqa: E402
from bench.rows import ROWS  # noqa: E402
from bench.stage import Seats, Setting, Side, measure  # noqa: E402

SMOKE = Setting(seconds=0.02, tiny=True)
NODE = shutil.which("node") is not None and (ROOT / "js" / "node_modules").is_dir()
WITH_PEERS = [(peer, row) for peer in contest.PEERS for row in ROWS if peer.joins(row)]


def taken(row: Row, side: Side) -> dict[str, Any]:
    """What a smoke run of that row found."""
    answer = measure(row, side, SMOKE, Seats())
    assert isinstance(answer["value"], float | int)
    assert answer["version"]
    return answer


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_runs(row: Row) -> None:
    if row.name == "add_node" and not NODE:
        pytest.skip("Node or the packages of js/ are missing")
    answer = taken(row, Side(OURS, sys.executable))
    if sys.platform == "linux" and row.unit.endswith("s/s") and row.name != "add_node":
        assert "caller" in answer["cpu"], "what a call costs is told where calls are counted"


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_every_curve_runs(curve: Curve) -> None:
    for point in curve.points[:2]:
        taken(curve.at(point), Side(OURS, sys.executable))


@pytest.mark.parametrize(("peer", "row"), WITH_PEERS, ids=lambda each: each.name)
def test_the_others_run_where_they_are_installed(peer: contest.Peer, row: Row) -> None:
    python = environments.made(sys.executable, "others", environments.OTHERS)
    if python is None:
        pytest.skip("they are installed by `make bench PEERS=all`")
    if peer.name == "nats" and contest.nats_server() is None:
        pytest.skip("nats-server is missing")
    taken(row, Side(peer.name, python, peer))


def test_what_rows_are_held_to_is_there() -> None:
    names = {row.name for row in ROWS}
    known = {None, "3.0.1", *names, *(peer.name for peer in contest.PEERS)}
    for row in ROWS:
        assert {bar.than for bar in (*row.must, *row.aim)} <= known
        for bar in (*row.must, *row.aim):
            assert bar.than not in {peer.name for peer in contest.PEERS} or any(
                peer.name == bar.than and peer.joins(row) for peer in contest.PEERS
            ), f"{row.name} is held to {bar.than}, who is not measured in it"


def test_bars_say_what_they_are() -> None:
    bars = [Bar(2.2), Bar(1, "floor_tcp"), Bar(0.5, "add"), Bar(40, None)]
    assert list(map(str, bars)) == ["2.2", "floor_tcp", "0.5 x add", "at most 40"]


def bench(*args: str) -> subprocess.CompletedProcess[str]:
    """Run the program as `make bench` does."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *args],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=50,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results of two rows and a curve."""
    folder = tmp_path_factory.mktemp("published")
    rows = bench("--smoke", "--only", "add,echo_1m,floor_tcp*", "--out", str(folder / "rows.json"))
    assert rows.returncode == 0, rows.stdout + rows.stderr
    assert "small call, one after another" in rows.stdout
    line = bench("--smoke", "--curves", "--only", "payload", "--out", str(folder / "curves.json"))
    assert line.returncode == 0, line.stdout + line.stderr
    assert "bytes each way" in line.stdout
    return folder


def test_results_are_written_with_machine_and_versions(run: Path) -> None:
    content = json.loads((run / "rows.json").read_text("utf-8"))
    assert content["machine"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert content["versions"]["ours"].startswith("daffi ")
    (add,) = (row for row in content["rows"]["unpinned"] if row["name"] == "add")
    assert add["sides"]["ours"]["median"] > 0
    assert [bar["text"] for bar in add["must"]] == ["2.2", "pyzmq"]


def times(content: dict[str, Any], factor: float) -> dict[str, Any]:
    """The same results from a machine that is so many times as fast."""
    changed: dict[str, Any] = json.loads(json.dumps(content))
    for row in changed["rows"]["unpinned"]:
        figures = row["sides"]["ours"]
        for name in ("median", "min", "max"):
            figures[name] *= factor
    return changed


def test_what_got_slower_is_said_and_fails(run: Path, tmp_path: Path) -> None:
    content = json.loads((run / "rows.json").read_text("utf-8"))
    faster, slower = tmp_path / "faster.json", tmp_path / "slower.json"
    faster.write_text(json.dumps(times(content, 1000)), "utf-8")
    slower.write_text(json.dumps(times(content, 0.001)), "utf-8")
    worse = bench("--smoke", "--only", "add", "--compare", str(faster))
    assert worse.returncode == 1, worse.stdout + worse.stderr
    assert "add, unpinned" in worse.stdout
    better = bench("--smoke", "--only", "add", "--compare", str(slower))
    assert better.returncode == 0, better.stdout + better.stderr
    assert "nothing of 1 figures got slower" in better.stdout


def test_ranges_that_touch_say_nothing(run: Path) -> None:
    before = json.loads((run / "rows.json").read_text("utf-8"))
    now = times(before, 0.5)
    for row in now["rows"]["unpinned"]:
        row["sides"]["ours"]["max"] *= 2.5
    found = list(changes(before, now))
    assert found
    assert all(each.worse == pytest.approx(1) and not each.apart for each in found)


def test_wrong_arguments_are_said() -> None:
    wrong = {
        ("--only", "nothing"): "nothing is called 'nothing'; there are: add,",
        ("--peers", "nobody"): "no peer is called nobody; there are:",
        ("--compare", "missing.json"): "missing.json can't be read",
        ("--rounds", "0"): "--rounds and --seconds are above zero",
    }
    for args, words in wrong.items():
        ran = bench(*args)
        assert ran.returncode == 2
        assert words in " ".join(ran.stderr.split())


MARKS = "\n".join(
    f"<!-- {name}: written by `make bench-plots` -->\n<!-- end of {name} -->\n"
    for name in ("rows", "curves", "tried")
)


def test_the_page_and_its_plots_come_from_results(run: Path, tmp_path: Path) -> None:
    page, images = tmp_path / "page.md", tmp_path / "images"
    page.write_text(f"Before.\n\n{MARKS}\nAfter.\n", "utf-8")
    entry = {"what": "nothing", "row": "add", "placement": "unpinned", "kept": False}
    both = {"before": "rows.json", "after": "rows.json"}
    (run / "tried.json").write_text(json.dumps([{**entry, **both}]), "utf-8")
    args = ["--published", str(run), "--page", str(page), "--images", str(images)]
    assert pages.main(args) == 0
    text = page.read_text("utf-8")
    assert text.startswith("Before.")
    assert text.endswith("After.\n")
    assert "| small call, one after another (`add`) | calls/s |" in text
    assert "![Time for each call over sizes and numbers](images/curves.svg)" in text
    assert "| nothing | `add`, unpinned |" in text
    picture = (images / "curves.svg").read_bytes()
    assert b"<svg" in picture
    assert pages.main(args) == 0
    assert page.read_text("utf-8") == text, "the same results give the same page"
    assert (images / "curves.svg").read_bytes() == picture, "and the same pictures"


def test_the_pages_own_marks_are_there() -> None:
    text = pages.PAGE.read_text("utf-8")
    for name in ("rows", "curves", "tried"):
        pages.written(text, name, iter(()))

"""README and documentation keep their word: programs run and print what is shown, links lead on.

How blocks are run, and which can't be, stands in `pages`.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pages import BLOCKS, DOCS, NOT_RUN, PAGES, ROOT, Section, first_line, sections, without_blocks
from programs import Program, Programs

import daffi

PORT = "7700"
SERVING = {"router", "serve", "top"}  # commands of daffi that go on
EVERY = [section for page in PAGES for section in sections(page)]
PLAYED = [section for section in EVERY if section.files()]
WITH_PIECES = [page for page in PAGES if any(section.pieces() for section in sections(page))]
LINKING = [*PAGES.values(), *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md"))]


def test_every_block_is_counted() -> None:
    found = {page: [0, 0] for page in PAGES}
    listed = 0
    for section in EVERY:
        for language, code in section.blocks:
            if language in ("python", "py"):
                unable = (section.page, first_line(code)) in NOT_RUN
                found[section.page][unable or language == "py"] += 1
                listed += unable
    assert {page: (ran, left) for page, (ran, left) in found.items() if ran + left} == BLOCKS
    for page, path in PAGES.items():  # nothing hides in a list, or behind another kind of fence
        fenced = sum(len(section.blocks) for section in EVERY if section.page == page)
        assert path.read_text("utf-8").count("```") == 2 * fenced, page
    assert listed == len(NOT_RUN), "listed, but gone or twice"
    others = {s.page for s in EVERY for language, _ in s.blocks if language == "py"}
    assert all(page.startswith(("from-", "migration-")) for page in others)


@pytest.mark.parametrize(
    "section", PLAYED, ids=[f"{section.page}-{section.heading[:30]}" for section in PLAYED]
)
def test_programs(section: Section, programs: Programs, tmp_path: Path) -> None:
    """Start the programs of a section in one folder, and see what they print."""
    env = prepare(section.shell, tmp_path)
    files = section.files()
    started: list[str] = []
    serving: list[Program] = []
    port = "0"

    def write() -> None:
        for name, code in files.items():
            (tmp_path / name).write_text(code.replace(PORT, port), "utf-8")

    write()
    for words, shown in section.commands():
        name, *args = (word.replace(PORT, port) for word in words)
        path = name if name == "-m" else str(tmp_path / name)
        program = programs.start(path, *args, env=env, within=("env", "-C", str(tmp_path)))
        started.append(" ".join(words))
        for promised in shown:
            line = program.line()
            if port == "0" and (
                free := re.fullmatch(re.escape(promised).replace(PORT, r"(\d+)"), line)
            ):
                port = free[1] if free.groups() else port
                write()
            assert line == promised.replace(PORT, port), program.stderr
        if ".join()" in files.get(name, "") or (name == "-m" and args[1] in SERVING):
            serving.append(program)
        else:
            finish(program)
    for name in files:
        stem = rf"\b{name.removesuffix('.py')}\b"
        imported = any(re.search(rf"(?m)^(from|import) {stem}", code) for code in files.values())
        assert imported or any(re.search(stem, line) for line in started), f"{name} is not run"
    for program in reversed(serving):
        until_joined(program)
        program.send_signal(signal.SIGINT)
        finish(program)


def prepare(shell: str, folder: Path) -> dict[str, str]:
    """Run what stands before the programs; what it has exported."""
    if not shell:
        return {}
    if "openssl" in shell and not shutil.which("openssl"):
        pytest.skip("there is no openssl")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = f"{shell}\nenv -0 > exported"
    subprocess.run(
        ["bash", "-euc", script], cwd=folder, env={"PATH": path}, check=True, capture_output=True
    )
    for secret in folder.glob("token*"):
        assert secret.stat().st_mode & 0o077 == 0, "others can read it"
    exported = (folder / "exported").read_text("utf-8").split("\0")
    return {
        name: value
        for name, _, value in (line.partition("=") for line in exported)
        if name.startswith("DAFFI_")
    }


def until_joined(program: Program) -> None:
    """What it prints, it prints before it joins; from then on it hears SIGTERM."""
    status = Path(f"/proc/{program.pid}/status")
    until = time.monotonic() + 10
    while status.exists() and time.monotonic() < until:
        caught = re.search(r"(?m)^SigCgt:\s*(\w+)", status.read_text())
        if caught is None or int(caught[1], 16) & 1 << signal.SIGTERM - 1:
            break
        time.sleep(0.01)


def finish(program: Program) -> None:
    """It ends well, and has said no more than was shown."""
    assert program.wait() == 0, program.stderr
    assert program.stderr == ""
    with pytest.raises(AssertionError, match="ended: 0"):
        program.line()


@pytest.mark.parametrize("page", WITH_PIECES)
def test_pieces(page: str, programs: Programs) -> None:
    program = programs.start("page.py", page)
    expected = sum(len(section.pieces()) for section in sections(page))
    assert program.expect("ran", 40) == str(expected)
    finish(program)


def slugs(page: Path) -> set[str]:
    """The anchors of a page, as the site makes them."""
    text = without_blocks(page.read_text("utf-8"))
    documented = re.findall(r"(?m)^::: (\S+)$", text)
    headings = re.findall(r"(?m)^#+ (.*)$", text)
    plain = (re.sub(r"[`*]|\[(.*?)\]\(.*?\)", r"\1", heading).lower() for heading in headings)
    found = {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", one).strip()) for one in plain}
    return found.union(documented)


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """Inside the repository to what is there, outside to an address that can be one."""
    missing = []
    text = re.sub(r"`[^`\n]*`", "", without_blocks(page.read_text("utf-8")))
    for target in re.findall(r"\]\(([^)\s]+)[^)]*\)", text):
        if "://" in target:
            url = urlsplit(target)
            if url.scheme != "https" or "." not in (url.hostname or ""):
                missing.append(target)
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        if not there.exists() or (anchor and anchor not in slugs(there)):
            missing.append(target)
        if page.parent == DOCS and path and DOCS not in there.resolve().parents:
            missing.append(f"{target}: not on the site")
    assert missing == []


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.stem)
def test_commands_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"(?:`|\$ )make ([a-z][\w.-]*)", page.read_text("utf-8")):
        known = re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE)
        assert known or re.fullmatch(r"pytest-3\.\d+", target), f"make {target}"


def test_every_option_of_nodes_is_explained() -> None:
    rows = re.findall(r"(?m)^\| (`.*?) \| (.*?) \|", PAGES["options"].read_text("utf-8"))
    explained = {
        kind: {
            option
            for names, kinds in rows
            for option in re.findall(r"`(\w+)`", names)
            if kind in kinds or kinds == "all"
        }
        for kind in ("Router", "Service", "Client")
    }
    assert explained == {
        kind: set(inspect.signature(getattr(daffi, kind)).parameters) for kind in explained
    }


def test_both_topologies_have_a_quick_start() -> None:
    starts = [set(section.files()) for section in sections("README") if section.files()]
    assert [("service.py" in files, "router.py" in files) for files in starts] == [
        (True, False),
        (False, True),
    ]

"""README and documentation keep their word: programs run and print what is shown, links lead on.

A Python block that begins with a comment like `# client.py` is that file. A console block
says which are started, in order, and what each prints. Those that `join()` are servers and
workers, ended by a signal; the others end by themselves. A page of `docs/` without such programs
is run by `processes/page.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from programs import Program, Programs

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PORT = "7700"

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = {path.stem: path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
# Pages whose programs are run by other tests: above, and by those of JavaScript.
RUN = {"index", "browser", "secured"}


def quick_starts(page: str) -> dict[str, str]:
    """Its sections that have programs, by heading."""
    parts = (part.partition("\n") for part in page.split("\n## "))
    return {heading: text for heading, _, text in parts if "\n$ python " in text}


SECTIONS = quick_starts(README)
STARTS = [*SECTIONS.values(), *quick_starts(PAGES["index"]).values()]


def sources(text: str) -> dict[str, str]:
    """The files of a section, by name."""
    found = {}
    for kind, code in BLOCK.findall(text):
        named = re.match(r"# (\w+\.py)\n", code)
        if kind == "python" and named:
            found[named[1]] = code
    return found


def commands(text: str) -> list[tuple[list[str], list[str]]]:
    """What is typed after `$ python`, and the lines that follow."""
    found: list[tuple[list[str], list[str]]] = []
    for kind, block in BLOCK.findall(text):
        if kind == "console":
            for line in block.splitlines():
                if line.startswith("$ python "):
                    found.append((line.split()[2:], []))
                elif found:
                    found[-1][1].append(line)
    return found


def finish(program: Program) -> None:
    """It ends well, and has said no more than was shown."""
    assert program.wait() == 0, program.stderr
    assert program.stderr == ""
    with pytest.raises(AssertionError, match="ended: 0"):
        program.line()


def test_both_topologies_have_a_quick_start() -> None:
    assert ["service.py" in text or "router.py" in text for text in SECTIONS.values()] == [True] * 2


@pytest.mark.parametrize("number", range(len(STARTS)))
def test_quick_start(number: int, programs: Programs, tmp_path: Path) -> None:
    play(STARTS[number], programs, tmp_path, {})


@pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl")
def test_secured_network(programs: Programs, tmp_path: Path) -> None:
    sections = {text.split("\n")[0]: text for text in PAGES["secured"].split("\n## ")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for kind, code in BLOCK.findall(sections["Certificates and a token"]):
        assert kind == "sh"
        shell = ["bash", "-euc", code]
        subprocess.run(shell, cwd=tmp_path, env={"PATH": path}, check=True, capture_output=True)
    token = tmp_path / "token"
    assert token.stat().st_mode & 0o077 == 0
    secret = {"DAFFI_TOKEN": token.read_text("utf-8").strip()}
    play(sections["Router, worker, caller"], programs, tmp_path, secret)


def play(text: str, programs: Programs, folder: Path, env: dict[str, str]) -> None:
    """Start the programs of a section in a folder, and see what they print."""
    files = sources(text)
    todo = commands(text)
    assert {name for (name, *_), _ in todo} == set(files)
    port = "0"
    serving = []
    for (name, *args), shown in todo:
        path = folder / name
        path.write_text(files[name].replace(PORT, port), "utf-8")
        program = programs.start(str(path), *args, env=env, within=("env", "-C", str(folder)))
        lines = [program.line() for _ in shown]
        if port == "0":
            port = lines[0].split()[-1]
        assert lines == [line.replace(PORT, port) for line in shown]
        if ".join()" in files[name]:
            serving.append(program)
        else:
            finish(program)
    for program in reversed(serving):
        program.send_signal(signal.SIGINT)
        finish(program)


@pytest.mark.parametrize(
    "page",
    sorted(name for name, text in PAGES.items() if "\n```python" in text and name not in RUN),
)
def test_pieces_of_a_page(page: str, programs: Programs) -> None:
    text = PAGES[page]
    program = programs.start("page.py", str(ROOT / "docs" / f"{page}.md"))
    assert program.expect("ran", 30) == str(text.count("\n```python"))
    finish(program)


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert targets
    headings = {
        "#" + heading.lower().replace(" ", "-") for heading in re.findall("(?m)^#+ (.*)", README)
    }
    missing = [
        target
        for target in targets
        if not (target in headings if target.startswith("#") else (ROOT / target).exists())
    ]
    assert missing == []


def test_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"\bmake (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"

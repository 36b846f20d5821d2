"""The pages as programs: every Python block of the README and of `docs/`, and how it is run.

A block that begins with a comment like `# client.py` is that file; all others are pieces.

**Files** of one section (what stands under a heading of level 2) lie in one folder. The console
blocks of the section say which programs are started, in order, and what each prints: lines that
begin with `$ python` or `$ daffi`; other commands are passed over. A file that is not started
must be imported by one that is, or be named in a command. Programs that `join()`, and `daffi
router`, `serve` and `top`, go on until the section is over and are then ended by Ctrl-C; the
others end by themselves. The port 7700 stands for a free one. `sh` blocks that stand before, on
the same page, prepare all this, and are run too; what they export holds for the programs.

**Pieces** of one page are one program, in order, run by `processes/page.py`. `conn` is a
connection to a node of their section that offers the callbacks of the page: of asyncio where a
piece of the section awaits something, of Trio on a page that has imported it, else a blocking
one. What a line says behind `print(...)  #` is what it must print.

Two tables: how many blocks each page has, and the few that can't run, with the reason. Code of
other products, which the pages about coming from them show, is in `py` blocks. These are counted
with what can't run: the products are not installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = {"README": ROOT / "README.md", **{p.stem: p for p in sorted(DOCS.glob("*.md"))}}

# Page: how many of its Python blocks run, how many do not.
BLOCKS = {
    "README": (7, 1),
    "asyncio": (7, 0),
    "browser": (1, 0),
    "call-styles": (7, 0),
    "cli": (1, 0),
    "deployment": (3, 0),
    "errors": (8, 0),
    "events": (5, 0),
    "from-grpc": (3, 3),
    "from-rpyc": (3, 2),
    "getting-started": (8, 0),
    "index": (3, 0),
    "limits": (1, 0),
    "migration-1": (5, 2),
    "migration-3": (2, 1),
    "router": (7, 0),
    "secured": (5, 0),
    "security": (3, 0),
    "serialization": (6, 0),
    "service": (4, 0),
    "tls": (1, 0),
    "trio": (1, 0),
    "unix-sockets": (3, 0),
}

# Page and first line of a block that can't run: why not.
NOT_RUN = {
    ("README", 'conn.rpc(timeout=5).resize("cat.png", width=640)  # blocking code'): (
        "one line each of two worlds, to be seen beside each other"
    ),
}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
_FILE = re.compile(r"# (\w+\.py)\n")


class Section(NamedTuple):
    """What stands under a heading of level 2, or before the first one."""

    page: str
    heading: str
    blocks: list[tuple[str, str]]  # language, code
    shell: str  # what prepares it

    def python(self) -> Iterator[str]:
        """Its Python blocks that run."""
        for language, code in self.blocks:
            if language == "python" and (self.page, first_line(code)) not in NOT_RUN:
                yield code

    def files(self) -> dict[str, str]:
        """Its files, by name."""
        named = [(_FILE.match(code), code) for code in self.python()]
        found = {match[1]: code for match, code in named if match}
        assert len(found) == sum(bool(match) for match, _ in named), f"{self}: a name twice"
        return found

    def pieces(self) -> list[str]:
        """Its blocks that are no files."""
        return [code for code in self.python() if not _FILE.match(code)]

    def commands(self) -> list[tuple[list[str], list[str]]]:
        """The programs that are started, as arguments of Python, and the lines that follow."""
        found: list[tuple[list[str], list[str]]] = []
        for language, code in self.blocks:
            shown: list[str] = []
            for line in code.splitlines() if language == "console" else ():
                if line.startswith("$ "):
                    shown = []
                    words = line.split()[1:]
                    if words[0] == "daffi":
                        found.append((["-m", *words], shown))
                    elif words[0] == "python" and words[1] in self.files():
                        found.append((words[1:], shown))
                else:
                    shown.append(line)
        return found


def first_line(code: str) -> str:
    """By which a block that can't run is known."""
    return code.partition("\n")[0]


def sections(page: str) -> list[Section]:
    """The sections of a page, in order."""
    text = PAGES[page].read_text("utf-8")
    fences = [(found.start(), found.end()) for found in _FENCE.finditer(text)]
    headings = [
        found
        for found in _HEADING.finditer(text)
        if not any(start < found.start() < end for start, end in fences)
    ]
    starts = [0, *(found.start() for found in headings), len(text)]
    names = ["", *(found[1] for found in headings)]
    made, shell = [], ""
    for name, start, end in zip(names, starts, starts[1:], strict=False):
        blocks = _FENCE.findall(text[start:end])
        shell += "".join(code for language, code in blocks if language == "sh")
        made.append(Section(page, name, blocks, shell))
    return made


def without_blocks(text: str) -> str:
    """What people read as prose."""
    return _FENCE.sub("", text)

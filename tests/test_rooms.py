"""The house keeps its plan: who imports whom, how large a file grows, what it may be called.

Reads the source as text; `docs/rooms.md` says why the rooms are as they are. A new room or
module starts with a line in one of the tables here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CEILING = 400

# What a Python module may import of ours: what stands above it, and the engine where it says so.
MODULES: dict[str, set[str]] = {
    "exceptions": set(),
    "log": set(),
    "leaving": {"exceptions"},
    "loop": {"leaving", "log"},
    "presence": {"_native", "log"},
    "signals": set(),
    "failures": {"exceptions"},
    "formats": {"exceptions"},
    "registry": {"log", "exceptions"},
    "address": {"exceptions"},
    "security": {"_native", "address", "log", "exceptions"},
    "node": {"_native", "leaving", "exceptions"},
    "remote": {"formats", "exceptions"},
    "streams": {"remote", "formats", "log", "exceptions"},
    "dispatch": {"_native", "loop", "log", "failures", "formats", "registry", "exceptions"},
    "life": {"_native", "address", "node", "dispatch", "presence", "registry", "exceptions"},
    "kinds": {"_native", "life", "address", "security", "dispatch", "node", "exceptions"},
    "tasks": {"_native", "dispatch", "registry"},
    "later": {"_native", "remote", "streams", "formats", "log", "exceptions"},
    "awaited": {
        "_native",
        "kinds",
        "life",
        "tasks",
        "later",
        "dispatch",
        "node",
        "presence",
        "remote",
        "formats",
        "exceptions",
    },
    # A front: a way of waiting. Fronts never import each other.
    "sync": {
        "_native",
        "kinds",
        "life",
        "dispatch",
        "node",
        "presence",
        "remote",
        "streams",
        "formats",
        "registry",
        "exceptions",
    },
    "aio": {"_native", "awaited", "tasks", "loop", "log", "signals"},
    "trio": {"_native", "awaited", "tasks", "log", "signals"},
    # The face: names that users import.
    "__init__": {"_native", "sync", "dispatch", "formats", "registry"},
    # The door to the command line.
    "__main__": {"cli"},
}

# The command line, a room of its own: what any of its modules may import of ours.
COMMANDS = {"__init__", "aio", "cli", "exceptions", "life", "node", "registry", "sync"}

# What a module of `js/` may import of ours.
SCRIPTS: dict[str, set[str]] = {
    "errors": set(),
    "codec": set(),
    "presence": set(),
    "formats": {"codec", "errors"},
    "transfers": {"codec", "formats"},
    "token": {"codec", "errors"},
    "greeting": {"codec", "errors", "formats", "token", "transfers"},
    "socket": {"errors"},
    "options": {"errors", "formats"},
    "connecting": {"codec", "errors", "greeting", "socket"},
    "session": {"codec", "formats", "greeting", "socket", "transfers"},
    "spinning": set(),
    "calls": {"codec", "spinning"},
    "pending": {"codec", "errors"},
    "streams": {"codec", "errors", "greeting", "pending"},
    "connection": {"codec", "errors", "formats", "greeting", "options", "pending", "streams"},
    "inflows": {"codec"},
    "worker": {"calls", "codec", "errors", "formats", "inflows", "transfers"},
    "client": {
        "calls",
        "codec",
        "connecting",
        "connection",
        "errors",
        "greeting",
        "options",
        "pending",
        "presence",
        "session",
        "transfers",
        "worker",
    },
    # The face: names that users import.
    "daffi": {"client", "connection", "errors", "worker"},
}

# What a Rust room may import of ours, and what of the world it must not know.
SENSES = (
    r"\b(tokio|socket2|libc|parking_lot|std::(net|fs|thread|env|process)|Instant::now|SystemTime)\b"
)
PYTHON = r"\bpyo3\b"
ROOMS = {
    "wire": (set[str](), [SENSES, PYTHON]),
    "hub": ({"wire"}, [SENSES, PYTHON]),
    "link": (set[str](), [PYTHON]),
    "node": ({"wire", "hub", "link"}, [PYTHON]),
    "bridge": ({"node", "wire"}, []),
}

VAGUE = re.compile(r"(utils?|commons?|helpers?|misc|impls?|types|bases?|managers?)")


def sources(*patterns: str) -> Iterator[Path]:
    """What people write, in a fixed order."""
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            if not {"__pycache__", "results", "node_modules"} & set(path.parts):
                yield path


def everything() -> list[Path]:
    folders = ("daffi", "tests", "bench", "examples")
    python = [f"{folder}/**/*.py{i}" for folder in folders for i in ("", "i")]
    return list(sources("rust/**/*.rs", "js/**/*.js", *python))


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def report(findings: list[str]) -> None:
    """Fail with one line for each finding."""
    assert not findings, "\n" + "\n".join(findings)


# Python


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of each module of ours that a module of `daffi` imports, wherever it does."""
    known = {*MODULES, "_native", "cli"}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = ".".join(filter(None, ("daffi" if node.level else "", node.module or "")))
            # `from daffi import node` names a module of ours after the `import`.
            names = [f"{origin}.{a.name}" if origin == "daffi" else origin for a in node.names]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            if top == "daffi":
                module = rest.partition(".")[0]
                yield node.lineno, module if module in known else "__init__"


def test_python_modules_import_only_what_their_place_allows() -> None:
    findings = []
    for path in sources("daffi/**/*.py"):
        in_cli = path.parent.name == "cli"
        allowed = COMMANDS if in_cli else MODULES.get(path.stem)
        if allowed is None:
            findings.append(f"{shown(path)}: give it a place in MODULES")
            continue
        findings += [
            f"{shown(path)}:{line}: imports {name}"
            for line, name in imported(path)
            if name not in allowed
        ]
    report(findings)


def test_modules_say_what_lives_in_them() -> None:
    report(
        [
            f"{shown(path)}: opens with no docstring"
            for path in sources("daffi/**/*.py", "daffi/**/*.pyi", "tests/**/*.py", "bench/**/*.py")
            if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
        ]
    )


# Rust


def code(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a Rust file without their comments."""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        yield number, re.sub(r"//.*", "", line)


def reached(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of each room that a Rust file names from the top of the crate."""
    text = "\n".join(line for _, line in code(path))
    for found in re.finditer(r"\bcrate::(\w+|\{[^;]*\})|\b(?:super::){2,}(\w+)", text):
        line = text.count("\n", 0, found.start()) + 1
        for name in re.findall(r"\w+", found[1] or found[2]):
            if name in ROOMS:
                yield line, name


def is_test(path: Path) -> bool:
    return path.stem == "tests" or "tests" in path.parts


def test_rust_rooms_import_only_what_their_place_allows() -> None:
    findings = []
    for path in sources("rust/*/**/*.rs"):
        room = path.relative_to(ROOT).parts[1]
        if room not in ROOMS:
            findings.append(f"{shown(path)}: give {room} a place in ROOMS")
            continue
        allowed, unknown = ROOMS[room]
        findings += [
            f"{shown(path)}:{line}: {room} imports {name}"
            for line, name in reached(path)
            if name not in allowed | {room}
        ]
        if not is_test(path):
            findings += [
                f"{shown(path)}:{line}: {room} knows {found[0]}"
                for line, text in code(path)
                for pattern in unknown
                for found in re.finditer(pattern, text)
            ]
    report(findings)


def test_rust_rooms_say_what_lives_in_them() -> None:
    report(
        [
            f"{shown(path)}: opens with no //! comment"
            for path in sources("rust/lib.rs", "rust/**/mod.rs")
            if not path.read_text("utf-8").startswith("//! ")
        ]
    )


def test_rust_tests_sit_in_files_of_their_own() -> None:
    report(
        [
            f"{shown(path)}:{line}: tests belong into a sibling file, tests.rs"
            for path in sources("rust/**/*.rs")
            if not is_test(path)
            for line, text in code(path)
            if re.search(r"#\[(tokio::)?test\b|\bmod \w*tests?\s*\{|\bproptest!", text)
        ]
    )


# JavaScript


def test_scripts_import_only_what_their_place_allows() -> None:
    findings = []
    for path in sources("js/*.js"):
        allowed = SCRIPTS.get(path.stem)
        if allowed is None:
            findings.append(f"{shown(path)}: give it a place in SCRIPTS")
            continue
        text = path.read_text("utf-8")
        for found in re.finditer(r'^(?:import|export|\}) [^;]*?from "\./(\w+)\.js"', text, re.M):
            if found[1] not in allowed:
                line = text.count("\n", 0, found.start()) + 1
                findings.append(f"{shown(path)}:{line}: imports {found[1]}")
    report(findings)


def test_scripts_say_what_lives_in_them() -> None:
    report(
        [
            f"{shown(path)}: opens with no /** comment"
            for path in sources("js/**/*.js")
            if not path.read_text("utf-8").startswith("/**")
        ]
    )


# All


def test_no_file_grows_past_the_ceiling() -> None:
    lengths = [(len(path.read_text("utf-8").splitlines()), path) for path in everything()]
    report(
        [
            f"{shown(path)}: {length} lines, the ceiling is {CEILING}"
            for length, path in sorted(lengths, reverse=True)
            if length > CEILING
        ]
    )


def test_names_say_what_is_inside() -> None:
    report(
        [
            f"{shown(path)}: {part!r} says nothing"
            for path in everything()
            for part in path.relative_to(ROOT).with_suffix("").parts
            if VAGUE.fullmatch(part.strip("_"))
        ]
    )

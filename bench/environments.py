"""The environments of those we compare with, made on the first run and kept.

Lives here: `build/bench-*-3.x/`, which only this module writes. They are made with our side's
interpreter, so that all sides run the same Python. Imports nothing of ours.
"""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION = "import sys; print('%d.%d' % sys.version_info[:2], sys.version)"

# What each is made from, under bench/peers/.
BEFORE = "before-requirements.txt"
OTHERS = "requirements.txt"


class EnvironmentMissing(RuntimeError):
    """An environment could not be made; the message says why."""


def prepare(ours: str, name: str, requirements: str) -> str:
    """The interpreter of the environment of that name, made from `ours` if need be."""
    python, stamp, wanted = _place(ours, name, requirements)
    if _fits(stamp, wanted):
        return str(python)
    if stamp.parent.exists():
        shutil.rmtree(stamp.parent)
    _run([ours, "-m", "venv", str(stamp.parent)])
    wants = str(ROOT / "bench" / "peers" / requirements)
    _run([str(python), "-m", "pip", "install", "--quiet", "-r", wants])
    stamp.write_text(wanted, encoding="utf-8")
    return str(python)


def made(ours: str, name: str, requirements: str) -> str | None:
    """The same if it has been made, as it is wanted now; `None` otherwise."""
    python, stamp, wanted = _place(ours, name, requirements)
    return str(python) if _fits(stamp, wanted) else None


def _place(ours: str, name: str, requirements: str) -> tuple[Path, Path, str]:
    version, _, full = _run([ours, "-c", VERSION]).partition(" ")
    folder = ROOT / "build" / f"bench-{name}-{version}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pins = (ROOT / "bench" / "peers" / requirements).read_text(encoding="utf-8")
    return python, folder / "made-from.txt", f"{full}\n{pins}"


def _fits(stamp: Path, wanted: str) -> bool:
    return stamp.exists() and stamp.read_text(encoding="utf-8") == wanted


def _run(command: list[str]) -> str:
    try:
        ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    except OSError as error:
        raise EnvironmentMissing(f"{command[0]} can't be run: {error}") from error
    except subprocess.CalledProcessError as error:
        raise EnvironmentMissing(f"{' '.join(command)} failed:\n{error.stderr[-2000:]}") from error
    except subprocess.TimeoutExpired as error:
        raise EnvironmentMissing(f"{' '.join(command)} took more than 300 s") from error
    return ran.stdout.strip()

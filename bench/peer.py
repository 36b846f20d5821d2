"""The environment of daffi 3.0.1, made on the first run and kept.

Lives here: `build/bench-peer/`, which only this module writes. It is made with the
interpreter that runs the bench, so that both sides run the same Python. Imports nothing of
ours.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "bench" / "peer-requirements.txt"
FOLDER = ROOT / "build" / "bench-peer"


class PeerMissing(RuntimeError):
    """The environment could not be made; the message says why."""


def prepare() -> str:
    """The interpreter that has daffi 3.0.1; its environment is made if need be."""
    python = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = FOLDER / "made-from.txt"
    wanted = f"{sys.version}\n{REQUIREMENTS.read_text(encoding='utf-8')}"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return str(python)
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    _run([sys.executable, "-m", "venv", str(FOLDER)])
    _run([str(python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)])
    stamp.write_text(wanted, encoding="utf-8")
    return str(python)


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    except subprocess.CalledProcessError as error:
        raise PeerMissing(f"{' '.join(command)} failed:\n{error.stderr[-2000:]}") from error
    except subprocess.TimeoutExpired as error:
        raise PeerMissing(f"{' '.join(command)} took more than 300 s") from error

"""The environment of daffi 3.0.1, made on the first run and kept.

Lives here: `build/bench-peer-3.x/`, which only this module writes. It is made with our side's
interpreter, so that both sides run the same Python. Imports nothing of ours.
"""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "bench" / "peer-requirements.txt"
VERSION = "import sys; print('%d.%d' % sys.version_info[:2], sys.version)"


class PeerMissing(RuntimeError):
    """The environment could not be made; the message says why."""


def prepare(ours: str) -> str:
    """The interpreter that has daffi 3.0.1, made from `ours` if need be."""
    version, _, full = _run([ours, "-c", VERSION]).partition(" ")
    folder = ROOT / "build" / f"bench-peer-{version}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "made-from.txt"
    wanted = f"{full}\n{REQUIREMENTS.read_text(encoding='utf-8')}"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return str(python)
    if folder.exists():
        shutil.rmtree(folder)
    _run([ours, "-m", "venv", str(folder)])
    _run([str(python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)])
    stamp.write_text(wanted, encoding="utf-8")
    return str(python)


def _run(command: list[str]) -> str:
    try:
        ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    except OSError as error:
        raise PeerMissing(f"{command[0]} can't be run: {error}") from error
    except subprocess.CalledProcessError as error:
        raise PeerMissing(f"{' '.join(command)} failed:\n{error.stderr[-2000:]}") from error
    except subprocess.TimeoutExpired as error:
        raise PeerMissing(f"{' '.join(command)} took more than 300 s") from error
    return ran.stdout.strip()

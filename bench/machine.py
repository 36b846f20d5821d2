"""Facts about the machine that a figure is worth nothing without.

Lives here: reading them, for the JSON. No names of hosts, users or folders. Imports nothing
of ours.
"""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def facts() -> dict[str, Any]:
    """What ran the bench, as plain JSON values; unknown ones are `None`."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    release = platform.release().partition("-")[0]
    return {
        "system": f"{platform.system()} {release} {platform.machine()}",
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor() or None,
        "cpus": os.cpu_count(),
        "cpus_usable": usable,
        "memory": _field("/proc/meminfo", "MemTotal"),
        "load_before": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "commit": _commit(),
    }


def _field(path: str, name: str) -> str | None:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    values = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(values, None)


def _commit() -> str | None:
    try:
        ran = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return ran.stdout.strip()

"""How much memory this process takes, and took at its worst.

Imports the standard library only.
"""

from __future__ import annotations

import contextlib
import re
import resource
import sys
from pathlib import Path


def peak() -> int:
    """The largest resident size of this process so far, in bytes.

    Linux counts what the parent had at the fork into `ru_maxrss`, also after an exec: a small
    program started by a large pytest would look as large as that. `VmHWM` begins anew with the
    exec, so the smaller one is true.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return min(found, _status("VmHWM") or found)


def resident() -> int:
    """The resident size of this process now, in bytes; the peak where the system says no more."""
    return _status("VmRSS") or peak()


def _status(name: str) -> int:
    with contextlib.suppress(OSError):
        said = re.search(rf"^{name}:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.M)
        if said:
            return int(said[1]) * 1024
    return 0

"""How much memory a process took at its worst.

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
    with contextlib.suppress(OSError):
        high = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        if high:
            found = min(found, int(high[1]) * 1024)
    return found

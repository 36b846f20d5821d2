"""What services and workers offer under the bench.

Lives here: callbacks that do next to nothing, so that the call is what is measured. Imported
by processes that serve, never by those that only call. Imports daffi only.
"""

import os
import resource
from typing import Any

from daffi import callback

_count = 0


@callback
def add(left: int, right: int) -> int:
    """The small call."""
    return left + right


@callback
def echo(value: Any) -> Any:
    """Give back what came."""
    return value


@callback
def take(_chunk: Any) -> bytes:
    """Count one arrival."""
    global _count
    _count += 1
    return b""


@callback
def taken() -> int:
    """How many calls of `take` have arrived."""
    return _count


@callback
def resident() -> int:
    """Resident memory of this process, in bytes; without `/proc`, the most there has been."""
    if not os.path.exists("/proc/self/statm"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

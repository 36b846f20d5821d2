"""What a measured stretch costs: CPU seconds and memory of the processes that take part.

Lives here: reading them from the kernel, by process id. Only Linux tells them for other
processes; elsewhere nothing is said. Imports nothing of ours.
"""

import os
import sys
import time
from typing import Any

Spent = dict[str, float]  # CPU seconds, user and system, by role


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used since it began, its ended threads included.

    The number of a process's CPU clock is made from its id, as `clock_getcpuclockid(3)` does.
    """
    return time.clock_gettime((~pid << 3) | 2)


def resident(*pids: int) -> int:
    """Resident memory of these processes together, in bytes."""
    pages = 0
    for pid in pids:
        with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
            pages += int(statm.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Meter:
    """CPU seconds that the processes of a measurement use between two moments."""

    def __init__(self, order: dict[str, Any]) -> None:
        pids: dict[str, list[int]] = order.get("pids", {})
        self._pids = {"caller": [os.getpid()], **pids} if sys.platform == "linux" else {}
        self.start()

    def _read(self) -> Spent:
        return {role: sum(map(cpu_seconds, pids)) for role, pids in self._pids.items()}

    def start(self) -> None:
        """Count from now on."""
        self._before = self._read()

    def spent(self) -> Spent:
        """Seconds since the start, by role; nothing where the system doesn't tell."""
        return {role: now - self._before[role] for role, now in self._read().items()}

"""A router in a process that holds the GIL for as long as a line of its input says.

Prints `ready URL`, then for each line `holding` and `released`.
"""

from __future__ import annotations

import sys

import offered
from telling import say

from daffi import Router


def main() -> None:
    with Router("router") as router:
        say("ready", f"tcp://127.0.0.1:{router.port}")
        for line in sys.stdin:
            say("holding")
            offered.hold_gil(float(line))
            say("released")


if __name__ == "__main__":
    main()

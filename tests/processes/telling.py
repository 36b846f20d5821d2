"""Callbacks that tell on standard output what happens to them.

For programs whose test looks at the worker from another process: one line per fact, the
first word says which. Imports `daffi` and `loops`.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import Any

from loops import cancelled, pause

from daffi import callback


def say(*words: object) -> None:
    """Print one line in one write, so that lines of several threads stay whole."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def say_in_join(*words: object) -> None:
    """Print one line as soon as `join()`, which is called next, has taken the signals over."""
    before = signal.getsignal(signal.SIGTERM)

    def watch() -> None:
        while signal.getsignal(signal.SIGTERM) == before:
            time.sleep(0.002)
        say(*words)

    threading.Thread(target=watch, daemon=True).start()


@callback
def tell(value: Any) -> Any:
    """Say what came, and give it back."""
    say("told", value)
    return value


@callback
def tell_nap(seconds: float) -> float:
    """Say when it begins and ends."""
    say("entered")
    time.sleep(seconds)
    say("finished")
    return seconds


@callback
async def tell_nap_async(seconds: float) -> float:
    """Say when it begins and ends, and how."""
    say("entered")
    try:
        await pause(seconds)
    except cancelled():
        say("cancelled")
        raise
    say("finished")
    return seconds

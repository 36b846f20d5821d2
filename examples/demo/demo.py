"""What daffi does, in a terminal, in less than twenty seconds.

    python examples/demo/demo.py

It starts a Router, workers and callers as processes of their own on a free port, shows eight
scenes, and ends them all; so it does on Ctrl-C and on SIGTERM. It exits with 0 if every scene
went as it should, 1 if one did not, 128 and the number of the signal if it was stopped.
"""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType

from processes import Company, Failed
from scenes import SCENES, Stage
from screen import screen

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal asked the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def stop(number: int, frame: FrameType | None) -> None:
    """Raise where the demo is waiting; what is running is ended on the way out."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # ending takes a few seconds at most
    raise Stopped(number)


def main() -> int:
    """The exit code."""
    for each in SIGNALS:
        signal.signal(each, stop)
    began = time.monotonic()
    show = screen()
    company = Company()
    try:
        stage = Stage(show, company)
        stage.open()
        for number, scene in enumerate(SCENES, start=1):
            show.scene(number, len(SCENES), scene.__doc__ or scene.__name__)
            scene(stage)
    except Stopped as signalled:
        show.say("stopped")
        return 128 + signalled.number
    except Failed as failed:
        show.say("This went wrong:")
        show.quote(str(failed))
        return 1
    finally:
        company.end()
    show.say(f"\n     All processes have ended, after {time.monotonic() - began:.1f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Prints which signal handlers are set before, after and during `join()`."""

from __future__ import annotations

import os
import signal
import threading
import time

from telling import say

from daffi import Service


def handlers() -> tuple[object, object]:
    return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)


def main() -> None:
    seen = []
    before = handlers()
    service = Service("server")
    service.start()

    def watch() -> None:
        deadline = time.monotonic() + 5
        while handlers() == before and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(handlers())
        os.kill(os.getpid(), signal.SIGTERM)

    watcher = threading.Thread(target=watch)
    watcher.start()
    service.join()
    watcher.join()
    say("before", *before)
    say("after", *handlers())
    say("during", *seen[0])


if __name__ == "__main__":
    main()

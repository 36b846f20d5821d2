"""A weather station. Start several: one that works, one that is broken, one that is slow.

    python 2_worker.py [port] [name] [temperature] [seconds]

It prints:

    ready: ...
    stopped
"""

import sys
import time

from daffi import Client, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
NAME = sys.argv[2] if len(sys.argv) > 2 else "berlin"
READING = sys.argv[3] if len(sys.argv) > 3 else "10"
SECONDS = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0

notes: list[str] = []


@callback
def temperature() -> float:
    """Read the thermometer; the page gets what that raises as this station's answer."""
    time.sleep(SECONDS)
    return float(READING)


@callback
def note(text: str) -> None:
    """Take a note, and answer nothing."""
    notes.append(text)


if __name__ == "__main__":
    worker = Client(NAME, "127.0.0.1", PORT)
    worker.connect(wait=10)
    print(f"ready: {NAME}", flush=True)
    worker.join()
    print("stopped", flush=True)

"""A worker of the demo: `python worker.py PORT NAME`.

It ends when its standard input does, so that it never outlives the demo.
"""

import hashlib
import os
import sys
import threading
import time

from daffi import Client, callback

PORT, NAME = int(sys.argv[1]), sys.argv[2]

received = hashlib.sha256()


@callback
def who() -> str:
    """The name of the worker that took this call."""
    return NAME


@callback
def add(a: int, b: int) -> int:
    """As small as work can be."""
    return a + b


@callback
def pid() -> int:
    """The process behind the name."""
    return os.getpid()


@callback
def upload(chunk: bytes) -> None:
    """Take one chunk of a stream."""
    received.update(chunk)


@callback
def uploaded() -> str:
    """The digest of all chunks so far."""
    return received.hexdigest()


def parse_amount(text: str) -> int:
    """Raises for what is no number."""
    return int(text)


@callback
def book(order: dict[str, str]) -> int:
    """Fails on a bad order, two calls deep."""
    return parse_amount(order["amount"])


@callback
def piece(seconds: float) -> str:
    """A piece of work that takes a while, and who did it."""
    time.sleep(seconds)
    return NAME


@callback
def echo(data: bytes) -> bytes:
    """There and back."""
    return data


def stop_with_parent() -> None:
    """The read returns when whoever started this has closed the pipe, or is gone."""
    os.read(0, 1)
    worker.stop()


worker = Client(NAME, "127.0.0.1", PORT)
worker.connect(wait=10)
threading.Thread(target=stop_with_parent, daemon=True).start()
print(os.getpid(), flush=True)
worker.join()

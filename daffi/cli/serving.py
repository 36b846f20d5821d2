"""A node from its start to its end, as a process of its own.

The first SIGINT or SIGTERM drains it: no new calls, and what runs may end. The second one ends
the process where it stands, even when a callback keeps Python from hearing it. Imports `screen`.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from typing import Any

import click

from daffi import Client, Router, Service
from daffi.cli import screen

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def address(node: Router | Service | Client) -> str:
    """Where it listens, or whom it talks to."""
    return node.info.partition(" at ")[2].rpartition(",")[0]


def ready(node: Router | Service | Client, said: str, as_json: bool, **facts: Any) -> None:
    """Say that it is up: whoever waits for a line of output can go on."""
    if as_json:
        screen.show_json(
            {"ready": node.app_name, "address": address(node), "pid": os.getpid(), **facts}
        )
    else:
        click.echo(said)


def until_signal(node: Router | Service | Client, *, quiet: bool = False) -> None:
    """Wait for the end of a node that is up. Raises what ended a client for good.

    `quiet`: somebody else says that it is about to end.
    """
    came: queue.SimpleQueue[int | Exception | None] = queue.SimpleQueue()

    def hear(number: int, _: object) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        came.put(number)

    def wait() -> None:
        try:
            node.join()
        except Exception as error:
            came.put(error)
        else:
            came.put(None)

    threading.Thread(target=wait, name="daffi-cli-join", daemon=True).start()
    for number in SIGNALS:
        signal.signal(number, hear)
    ended = came.get()
    if isinstance(ended, Exception):
        raise ended
    if ended is not None:
        stats = node.stats()
        gauges = ("calls_in_flight",) if isinstance(node, Router) else ("queued", "running")
        busy = sum(stats[gauge] for gauge in gauges)
        if busy and not quiet:
            what = f"{busy} call{'s' * (busy != 1)} to finish"
            screen.warn(f"stopping: {what}, once more ends it at once")
        node.stop()

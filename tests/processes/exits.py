"""A program whose main thread ends while its nodes are at work: `exits.py MODE [URL]`.

Prints `ending TIME` (the clock of `time.monotonic()`) as the last thing that it does.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import offered  # noqa: F401 - registers
from telling import say

from daffi import Client, Router, Service, callback

entered = threading.Event()


@callback
def exit_nap() -> None:
    """Sleep for longer than the program lives."""
    entered.set()
    time.sleep(30)


@callback
def exit_work() -> None:
    """Work for longer than the program lives: the thread ends in here, when it wants the GIL."""
    entered.set()
    while True:
        time.sleep(0)


@callback
async def exit_nap_async() -> None:
    """The same in a coroutine."""
    entered.set()
    await asyncio.sleep(30)


def apart(function: Callable[..., Any], *args: Any) -> None:
    """Run on a daemon thread. What it raises when the interpreter ends is not to be seen."""
    threading.Thread(target=function, args=args, daemon=True).start()


def ending() -> None:
    say("ending", time.monotonic())


def call_for_ever(conn: Any) -> None:
    for value in itertools.count():
        conn.rpc().echo(value)
        if value == 100:
            entered.set()


def goodbye(url: str) -> None:
    Client("leaver", url=url, expose=()).connect()
    ending()


def main() -> None:
    mode = sys.argv[1]
    if mode == "goodbye":
        goodbye(sys.argv[2])
        return
    service = Service("service")
    service.start()
    router = Router("router")
    router.start()
    worker = Client("worker", port=router.port)
    worker.connect()
    client = Client("caller", port=service.port, expose=())
    conn: Any = client.connect()
    routed: Any = Client("routed", port=router.port, expose=()).connect()
    assert conn.rpc(timeout=5).add(1, 2) == routed.rpc(timeout=5).add(1, 2) == 3

    if mode == "stopped":
        for node in (client, worker, router, service):
            node.stop()
    elif mode in ("in-call", "in-callback"):
        apart(conn.rpc().exit_nap)
        apart(routed.rpc().exit_nap)
        entered.wait(5)
    elif mode == "in-busy-callback":
        apart(conn.rpc().exit_work)
        apart(routed.rpc().exit_work)
        entered.wait(5)
    elif mode == "in-callback-async":
        apart(conn.rpc().exit_nap_async)
        entered.wait(5)
    elif mode in ("serving", "calling"):
        for target in (conn, routed) * 4:
            apart(call_for_ever, target)
        entered.wait(5)
    elif mode == "stream":
        apart(conn.stream(serde="PICKLE").nothing, itertools.count())
        apart(routed.stream_nowait(serde="PICKLE").nothing, itertools.count())
        time.sleep(0.1)
    elif mode == "handler":
        client.add_event_handler(lambda event: exit_nap())
        entered.wait(5)
    elif mode == "dropped":
        del conn, routed, client, worker, router, service
    elif mode == "disconnected":
        service.stop()
        apart(conn.rpc(timeout=30).add, 1, 2)
        time.sleep(0.1)
    elif mode == "waiting":
        apart(routed.wait_for_members, "nobody")
        apart(Client("late", port=1, expose=()).connect, 30)
        apart(client.join)
        time.sleep(0.1)
    elif mode == "exit-3":
        ending()
        sys.exit(3)
    elif mode == "exception":
        ending()
        raise ValueError("meant to be")
    elif mode == "exception-in-with":
        with Client("inner", port=service.port, expose=()):
            ending()
            raise ValueError("meant to be")
    ending()


if __name__ == "__main__":
    main()

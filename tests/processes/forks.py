"""A program that forks with its nodes at work: `forks.py MODE`. Prints facts, then `left`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import offered  # noqa: F401 - registers
from telling import say

from daffi import Client, Router, Service

warnings.filterwarnings("ignore", "This process", DeprecationWarning)


def fork(work: Callable[[], None], leave: Callable[[int], Any] = os._exit) -> int:
    """Run `work` in a child; its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            work()
        except BaseException:
            traceback.print_exc()
            code = 9
        sys.stdout.flush()
        sys.stderr.flush()
        leave(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def attempt(function: Callable[[], Any]) -> str:
    """The name of what it raises, or what it gives."""
    try:
        return str(function())
    except Exception as error:
        return type(error).__name__


class Nodes:
    """A service with a caller, and a router with a worker and a caller."""

    def __init__(self) -> None:
        self.service = Service("service", workers=2)
        self.service.start()
        self.router = Router("router")
        self.router.start()
        self.worker = Client("worker", port=self.router.port)
        self.worker.connect()
        self.client = Client("caller", port=self.service.port, expose=())
        self.conn: Any = self.client.connect()
        self.routed_client = Client("caller", port=self.router.port, expose=())
        self.routed: Any = self.routed_client.connect()
        self.unstarted = Client("unstarted", port=self.service.port, expose=())
        self.kept = self.conn.rpc(timeout=5).add

    def check(self) -> tuple[int, int]:
        return self.conn.rpc(timeout=5).add(1, 2), self.routed.rpc(timeout=5).add(1, 2)

    def stop(self) -> None:
        for node in (self.routed_client, self.client, self.worker, self.router, self.service):
            node.stop()


def new_nodes() -> tuple[int, int]:
    """New nodes of every kind, made and stopped."""
    nodes = Nodes()
    result = nodes.check()
    nodes.stop()
    return result


def child(old: Nodes) -> None:
    """What a child finds."""
    attempts: dict[str, Callable[[], Any]] = {
        "rpc": lambda: old.conn.rpc(timeout=5).add(1, 2),
        "kept": lambda: old.kept(1, 2),
        "nowait": lambda: old.conn.rpc_nowait().add(1, 2),
        "cast": lambda: old.routed.cast(timeout=5).add(1, 2),
        "stream": lambda: old.conn.stream(timeout=5).nothing([b"x"]),
        "members": lambda: old.conn.members(),
        "stats": lambda: old.client.stats(),
        "new-connection": lambda: old.client.connect(),
        "server-members": lambda: old.service.members(),
        "worker-members": lambda: old.worker.members(),
        "unstarted": lambda: old.unstarted.connect(),
    }
    for name, function in attempts.items():
        say(f"child-{name}", attempt(function))
    service, router = new_nodes()
    say("child-service", service)
    say("child-router", router)
    with Client("from-the-child", port=old.service.port, expose=()) as conn:
        say("child-by-parent", conn.rpc(timeout=5).add(1, 2))


def parent_and_child(mode: str) -> None:
    nodes = Nodes()
    nodes.check()
    if mode == "fork-in-call":
        for conn in (nodes.conn, nodes.routed):
            threading.Thread(target=conn.rpc(timeout=5).nap, args=(0.5,)).start()
    if mode == "multiprocessing":
        process = multiprocessing.get_context("fork").Process(target=child, args=(nodes,))
        process.start()
        process.join(20)
        code = process.exitcode
    elif mode == "fork-then-exit":
        code = fork(lambda: child(nodes), leave=sys.exit)
    else:
        code = fork(lambda: child(nodes))
    say("child-code", code)
    direct, routed = nodes.check()
    say("parent-rpc", direct)
    say("parent-routed", routed)
    names = {member.name for member in nodes.routed.members()} - {"router"}
    say("parent-members", ",".join(sorted(names)))
    nodes.stop()


def terminate(pid: int) -> int:
    """Send SIGTERM until the child has ended, for ten seconds; its exit code."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        os.kill(pid, signal.SIGTERM)
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    raise AssertionError(f"{pid} did not end")


def prefork() -> None:
    router = Router("router")
    router.start()
    pids = []
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            # Too early for join(), it says nothing: the parent says it again.
            signal.signal(signal.SIGTERM, lambda *_: None)
            worker = Client(f"worker-{number}", port=router.port)
            worker.connect()
            worker.join()
            os._exit(0)
        pids.append(pid)
    client = Client("caller", port=router.port, expose=())
    conn: Any = client.connect()
    conn.wait_for_members(*(f"worker-{number}" for number in range(3)), timeout=10)
    say("workers", len(conn.cast(timeout=5).add(1, 2)))
    say("pids", len(set(conn.cast(timeout=5).process_id().values()) & set(pids)))
    codes = [terminate(pid) for pid in pids]
    say("codes", ",".join(map(str, codes)))
    client.stop()
    router.stop()


def grandchild() -> None:
    first = Nodes()
    say("parent", first.check()[0])

    def middle() -> None:
        second = Nodes()
        say("child", second.check()[0])

        def last() -> None:
            say("grandchild-old", attempt(lambda: second.conn.rpc(timeout=5).add(1, 2)))
            say("grandchild", new_nodes()[0])

        assert fork(last) == 0
        second.stop()

    say("codes", fork(middle))
    first.stop()


def main() -> None:
    mode = sys.argv[1]
    if mode == "prefork":
        prefork()
    elif mode == "grandchild":
        grandchild()
    else:
        parent_and_child(mode)
    say("left")


if __name__ == "__main__":
    main()

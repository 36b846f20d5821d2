"""What the demo shows: eight scenes, each of which checks what it claims.

A scene starts callers, follows what they say, and raises `Failed` where the outcome is not
what a reader of the documentation would expect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from processes import Child, Company, Failed
from screen import Screen


class Stage:
    """What the scenes share."""

    def __init__(self, screen: Screen, company: Company) -> None:
        self.screen = screen
        self.company = company
        self.workers: dict[str, Child] = {}

    def worker(self, name: str, file: str = "worker.py") -> None:
        """Bring one in."""
        child = self.company.worker(name, file)
        child.line()
        self.workers[name] = child
        self.screen.say(f"{name}, pid {child.pid}")

    def open(self) -> None:
        """The Router and three workers."""
        router = self.company.router()
        say = self.screen.say
        say(f"Router on 127.0.0.1:{self.company.port}, pid {router.pid}")
        for number in (1, 2, 3):
            self.worker(f"worker-{number}")


def claim(held: bool, what: str) -> None:
    """End the demo if something is not as it should be."""
    if not held:
        raise Failed(what)


def round_robin(stage: Stage) -> None:
    """Round robin: three callers at once, ten calls each"""
    callers = [stage.company.caller("ten") for _ in range(3)]
    total: Counter[str] = Counter()
    for number, caller in enumerate(callers, start=1):
        got = caller.result()
        total.update(got)
        line = ", ".join(f"{name} {count}" for name, count in sorted(got.items()))
        stage.screen.say(f"caller {number}, pid {caller.pid}, was served by: {line}")
    line = ", ".join(f"{name} {count}" for name, count in sorted(total.items()))
    claim(set(total.values()) == {10} and len(total) == 3, f"not ten each: {line}")
    stage.screen.say(f"The Router dealt them out, ten each: {line}")


def cast(stage: Stage) -> None:
    """Cast: one call, an answer from every worker"""
    got = stage.company.caller("everybody").result()
    wanted = {name: child.pid for name, child in stage.workers.items()}
    claim(got == wanted, f"{wanted} expected, got {got}")
    stage.screen.say(f"conn.cast().pid() is {dict(sorted(got.items()))}")


def stream(stage: Stage) -> None:
    """Stream: a generator, one acknowledged call for each of 2,000 chunks"""
    with stage.screen.bar("4 KiB chunks", 2000) as bar:
        for fact in stage.company.caller("stream").facts():
            if "step" in fact:
                bar.advance(fact["step"])
    got = fact["result"]
    claim(got["same"], "the digests differ")
    rate = f"{got['rate']:,.0f} chunks/s"
    stage.screen.say(f"{rate}, and the digest at the worker is that of the caller")


def failure(stage: Stage) -> None:
    """A callback that fails: `except ValueError` catches it, with the remote traceback"""
    got = stage.company.caller("failure").result()
    claim(got["type"] == "ValueError" and got["remote"], f"no ValueError: {got}")
    claim("parse_amount" in got["text"], "no remote traceback")
    stage.screen.quote(got["text"])


def replaced(stage: Stage) -> None:
    """A worker killed in the middle of the work, and replaced"""
    late: list[str] = []
    with stage.screen.bar("pieces of work", 150) as bar:
        done = 0
        for fact in stage.company.caller("work").facts():
            if "step" not in fact:
                continue
            done += 1
            bar.advance(1)
            if done == 40:
                killed = stage.workers.pop("worker-2")
                killed.kill()
                late.append(f"worker-2, pid {killed.pid}, was killed (SIGKILL)")
                fresh = stage.company.worker("worker-4")
                stage.workers["worker-4"] = fresh
                late.append(f"worker-4, pid {fresh.pid}, took its place")
    got = fact["result"]
    claim(got["done"] == 150, f"{got['done']} of 150 pieces were done")
    claim("worker-4" in got["by"], "the replacement got no work")
    for line in late:
        stage.screen.say(line)
    by = ", ".join(f"{name} {count}" for name, count in sorted(got["by"].items()))
    stage.screen.say(f"All 150 pieces were done: {by}")
    stage.screen.say(f"Calls that ended as Disconnected, and were made again: {got['again']}")
    claim(got["again"] > 0, "nobody noticed that the worker died")


def rate(stage: Stage) -> None:
    """Calls per second: 16 threads on one connection, through the Router"""
    with stage.screen.bar("three seconds", 3.0) as bar:
        for fact in stage.company.caller("rate").facts():
            if "step" in fact:
                bar.advance(fact["step"], fact["note"])
    got = fact["result"]
    per_second = got["calls"] / got["seconds"]
    line = f"{got['calls']:,} calls in {got['seconds']:.1f} s: {per_second:,.0f} calls/s"
    stage.screen.say(f"{line}, each with its own answer")


def thousand(stage: Stage) -> None:
    """asyncio: a thousand calls in flight on one connection, one of them cancelled"""
    stage.worker("worker-5", "async_worker.py")
    caller = stage.company.caller("thousand", "async_caller.py")
    with stage.screen.bar("two seconds", 2.0) as bar:
        for fact in caller.facts():
            if "step" in fact:
                bar.advance(fact["step"], fact["note"])
    got = fact["result"]
    claim(got["answers"] == 999, f"{got['answers']} answers, not 999")
    claim(got["cancelled"] == [500], f"the worker saw {got['cancelled']} cancelled, not [500]")
    say = stage.screen.say
    say(f"1,000 calls of one second each, all at once: 999 answers in {got['napped']:.1f} s")
    say("The one that was cancelled got a CancelledError at worker-5")
    per_second = got["calls"] / got["seconds"]
    line = f"{got['calls']:,} calls in {got['seconds']:.1f} s: {per_second:,.0f} calls/s"
    say(f"{line}, with 1,000 in flight")


def large(stage: Stage) -> None:
    """A large payload: 256 MiB through the Router to a worker, and back"""
    with stage.screen.bar("256 MiB, both ways", None):
        got = stage.company.caller("large").result()
    claim(got["same"], "what came back is not what was sent")
    speed = 0.5 / got["seconds"]
    stage.screen.say(
        f"Unchanged after {got['seconds']:.2f} s: {speed:.2f} GiB/s, both ways counted"
    )


SCENES: tuple[Callable[[Stage], None], ...] = (
    round_robin,
    cast,
    stream,
    failure,
    replaced,
    rate,
    thousand,
    large,
)

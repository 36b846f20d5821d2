"""The calls of the mix: each makes one call, or a few that belong together, and checks it.

Lives here: one function per kind. Every call carries a token of its own, and an answer with
another token is reported as wrong. Imports `gate` and daffi.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.soak.gate import Tally
from daffi import SerdeFormat
from daffi.exceptions import CallTimeout

SIZES = (0, 0, 0, 0, 100, 2_000, 2_000, 60_000, 300_000)


@dataclass
class Lane:
    """One thread that calls: its connections, its dice, its accounts."""

    name: str
    direct: Any
    routed: Any
    workers: list[str]
    dice: random.Random
    tally: Tally = field(default_factory=Tally)
    sent: Counter[tuple[str, str]] = field(default_factory=Counter)  # (target, ledger)
    number: int = 0

    def token(self) -> str:
        """A name for one call that no other call has."""
        self.number += 1
        return f"{self.name}-{self.number}"

    def anyone(self) -> Any:
        """Either connection."""
        return self.dice.choice((self.direct, self.routed))

    def someone(self) -> tuple[Any, str | None, str]:
        """A connection, a receiver to name, and what that target is called."""
        if self.dice.random() < 0.5:
            return self.direct, None, "service"
        worker = self.dice.choice(self.workers)
        return self.routed, worker, worker

    def check(self, kind: str, token: str, got: object, wanted: object) -> None:
        """Count one call; report it if its answer is not its own."""
        self.tally.add(kind)
        if got != wanted:
            self.tally.wrong(f"{kind} {token}: answered {str(got)[:80]}")


def objects(serde: SerdeFormat) -> Callable[[Lane], None]:
    """A call with plain values in one format."""

    def call(lane: Lane) -> None:
        token = lane.token()
        payload = "x" * lane.dice.choice(SIZES)
        got = lane.anyone().rpc(timeout=30, serde=serde).reflect(token, payload)
        lane.check(f"rpc {serde.name}", token, list(got), [token, payload])

    return call


def opaque(lane: Lane) -> None:
    """A call with bytes."""
    token = lane.token()
    value = token.encode() + b":" + bytes(lane.dice.choice(SIZES))
    got = lane.anyone().rpc(timeout=30, serde=SerdeFormat.OPAQUE).mirror(value)
    lane.check("rpc OPAQUE", token, got, value)


def nested(lane: Lane) -> None:
    """A call whose callback calls another worker, and calls us back."""
    token = lane.token()
    got = lane.routed.rpc(timeout=30).nested(token)
    lane.check("nested", token, got, [token, token, token])


def cast(lane: Lane) -> None:
    """A cast to both workers."""
    token = lane.token()
    got = lane.routed.cast(timeout=30).reflect(token, 1)
    lane.check("cast", token, got, {worker: [token, 1] for worker in lane.workers})


def rpc_nowait(lane: Lane) -> None:
    """A call that nobody waits for; its ledger is settled later."""
    conn, receiver, target = lane.someone()
    ledger = f"{lane.name}-rpc"
    conn.rpc_nowait(receiver=receiver).enter(ledger)
    lane.sent[target, ledger] += 1
    lane.tally.add("rpc_nowait")


def cast_nowait(lane: Lane) -> None:
    """A cast that nobody waits for; its ledger is settled later."""
    ledger = f"{lane.name}-cast"
    lane.routed.cast_nowait().enter(ledger)
    for worker in lane.workers:
        lane.sent[worker, ledger] += 1
    lane.tally.add("cast_nowait")


def streams(acknowledged: bool) -> Callable[[Lane], None]:
    """A stream of a few items, all of which must arrive once and in order."""
    kind = "stream" if acknowledged else "stream_nowait"

    def call(lane: Lane) -> None:
        conn, receiver, _ = lane.someone()
        token = lane.token()
        count = lane.dice.randint(1, 30)
        padding = bytes(lane.dice.choice(SIZES[:-1]))
        items = (f"{token}:{number}:".encode() + padding for number in range(count))
        if acknowledged:
            conn.stream(timeout=30, receiver=receiver).flow(items)
        else:
            conn.stream_nowait(receiver=receiver).flow(items)
        limit = time.monotonic() + 30
        while not (got := conn.rpc(timeout=30, receiver=receiver).flowed(token, count)):
            if acknowledged or time.monotonic() > limit:
                got = "lost"
                break
            time.sleep(0.001)
        lane.check(kind, token, got, "in order")

    return call


def raising(lane: Lane) -> None:
    """A callback that raises: the same exception, with our token."""
    token = lane.token()
    try:
        got: object = lane.anyone().rpc(timeout=30).fail(token)
    except ValueError as error:
        got = error.args
    lane.check("raising", token, got, (token,))


def timing_out(lane: Lane) -> None:
    """A callback that is not done in time, half of them such that can be cancelled."""
    token = lane.token()
    got: object = "an answer"
    began = time.monotonic()
    try:
        if lane.dice.random() < 0.5:
            lane.anyone().rpc(timeout=0.005).linger(1.0)
        else:
            lane.anyone().rpc(timeout=0.005).pause(0.03)
        if time.monotonic() - began >= 0.03:
            return  # this thread did not get to run meanwhile: what is done wins over its timeout
    except CallTimeout:
        got = "timeout"
    lane.check("timing out", token, got, "timeout")


def settle(lane: Lane) -> None:
    """Wait until all that nobody waited for has arrived; report what is lost or came twice."""
    for (target, ledger), count in lane.sent.items():
        conn = lane.direct if target == "service" else lane.routed
        receiver = None if target == "service" else target
        limit = time.monotonic() + 20
        while (arrived := conn.rpc(timeout=30, receiver=receiver).entered(ledger)) != count:
            if time.monotonic() > limit or arrived > count:
                lane.tally.wrong(f"{ledger} at {target}: {arrived} of {count} arrived")
                return
            time.sleep(0.005)

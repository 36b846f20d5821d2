"""The lanes of a caller: threads that make one call after another.

Lives here: the mix, and the two lanes that cancel. Imports `calls`, `gate` and daffi.
"""

import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

from bench.soak import calls
from bench.soak.calls import Lane
from bench.soak.gate import Gate
from daffi import Client, SerdeFormat
from daffi.exceptions import CallTimeout, Disconnected

# Kind of call, and how many of a hundred it is. What is missing is cancelled, by the lanes
# `interrupted`, which fills the share as far as it can, and `closing`.
CANCELLED = 0.02
MIX: tuple[tuple[Callable[[Lane], None], int], ...] = (
    (calls.objects(SerdeFormat.PICKLE), 18),
    (calls.objects(SerdeFormat.JSON), 12),
    (calls.objects(SerdeFormat.MSGPACK), 12),
    (calls.opaque, 12),
    (calls.nested, 6),
    (calls.cast, 6),
    (calls.rpc_nowait, 12),
    (calls.cast_nowait, 4),
    (calls.streams(acknowledged=True), 6),
    (calls.streams(acknowledged=False), 6),
    (calls.raising, 2),
    (calls.timing_out, 2),
)

VISITORS = 8
VISIT_EVERY = 0.25


class Interrupted(Exception):
    """What the alarm raises inside a call."""


def _guarded(lane: Lane, gate: Gate, step: Callable[[], None]) -> None:
    """Take steps for ever; an error that a step did not expect is reported as wrong."""
    settled = True
    while True:
        try:
            if gate.closing and not settled:
                calls.settle(lane)
                settled = True
            gate.wait()
            settled = False
            step()
        except Exception as error:
            lane.tally.wrong(f"{type(error).__name__}: {error}"[:300])
            time.sleep(0.1)


def mixed(lane: Lane, gate: Gate) -> None:
    """Calls of every kind, as the dice have it."""
    kinds = [kind for kind, _ in MIX]
    shares = [share for _, share in MIX]
    _guarded(lane, gate, lambda: lane.dice.choices(kinds, shares)[0](lane))


def interrupted(lane: Lane, gate: Gate, crew: Sequence[Lane]) -> None:
    """Calls that a signal breaks off, as Ctrl-C does. For the main thread only.

    Waits while `CANCELLED` of the crew's calls are cancelled already.
    """

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted

    def step() -> None:
        cancelled = sum(each.tally.done["cancelled"] for each in crew)
        if cancelled > CANCELLED * sum(each.tally.total for each in crew):
            time.sleep(0.005)
            return
        try:
            signal.setitimer(signal.ITIMER_REAL, lane.dice.uniform(0.001, 0.02))
            lane.anyone().rpc(timeout=30).linger(10.0)
            lane.tally.wrong("a call outlived its interruption")
        except Interrupted:
            lane.tally.add("cancelled")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    signal.signal(signal.SIGALRM, ring)
    _guarded(lane, gate, step)


def closing(lane: Lane, gate: Gate, addresses: list[dict[str, Any]]) -> None:
    """Clients that come, call from several threads, and close while these calls run."""

    def visit(pool: ThreadPoolExecutor) -> None:
        started = time.monotonic()
        client = Client(lane.token(), **lane.dice.choice(addresses), expose=())
        conn = client.connect()
        running = [pool.submit(_linger, conn) for _ in range(VISITORS)]
        time.sleep(lane.dice.uniform(0.0, 0.02))
        client.stop()
        for each in running:
            lane.tally.add(each.result())
        time.sleep(max(0.0, VISIT_EVERY - (time.monotonic() - started)))

    with ThreadPoolExecutor(VISITORS) as pool:
        _guarded(lane, gate, lambda: visit(pool))


def _linger(conn: Any) -> str:
    try:
        conn.rpc(timeout=5).linger(0.2)
    except (Disconnected, CallTimeout):
        return "cancelled"
    return "finished while closing"

"""The lanes of an asyncio caller: tasks that make one call after another.

Lives here: the mix, and the lane whose clients close. Imports `calls`, `gate`,
`bench.soak.calls` and daffi.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from bench.soak.aio import calls
from bench.soak.aio.gate import Gate
from bench.soak.calls import Lane
from bench.soak.lanes import VISIT_EVERY, VISITORS
from daffi import SerdeFormat
from daffi.aio import AsyncClient
from daffi.exceptions import CallTimeout, Disconnected

# Kind of call, and how many of a hundred it is. The lane `closing` cancels some more.
MIX: tuple[tuple[calls.Kind, int], ...] = (
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
    (calls.cancelled, 2),
)


async def _guarded(lane: Lane, gate: Gate, step: Callable[[], Awaitable[None]]) -> None:
    """Take steps for ever; an error that a step did not expect is reported as wrong."""
    settled = True
    while True:
        try:
            if gate.closing and not settled:
                await calls.settle(lane)
                settled = True
            await gate.wait()
            settled = False
            await step()
        except Exception as error:
            lane.tally.wrong(f"{type(error).__name__}: {error}"[:300])
            await asyncio.sleep(0.1)


async def mixed(lane: Lane, gate: Gate) -> None:
    """Calls of every kind, as the dice have it."""
    kinds = [kind for kind, _ in MIX]
    shares = [share for _, share in MIX]
    await _guarded(lane, gate, lambda: lane.dice.choices(kinds, shares)[0](lane))


async def closing(lane: Lane, gate: Gate, addresses: list[dict[str, Any]]) -> None:
    """Clients that come, make several calls at once, and close while these run.

    Half of them wait for what runs; the others give up on that, which cancels it.
    """

    async def visit() -> None:
        started = time.monotonic()
        client = AsyncClient(lane.token(), **lane.dice.choice(addresses), expose=())
        conn = await client.connect()
        running = [asyncio.ensure_future(_linger(conn)) for _ in range(VISITORS)]
        await asyncio.sleep(lane.dice.uniform(0.0, 0.02))
        patience = lane.dice.choice((None, 0.01))
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(client.stop(), patience)
        for kind in await asyncio.gather(*running):
            lane.tally.add(kind)
        await asyncio.sleep(max(0.0, VISIT_EVERY - (time.monotonic() - started)))

    await _guarded(lane, gate, visit)


async def _linger(conn: Any) -> str:
    try:
        await conn.rpc(timeout=5).linger(0.2)
    except (Disconnected, CallTimeout):
        return "cancelled"
    return "finished while closing"

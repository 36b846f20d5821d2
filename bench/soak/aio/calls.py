"""The calls of the asyncio mix: each makes one call, or a few that belong together, and checks it.

Lives here: one coroutine function per kind, as in `bench.soak.calls`, whose lanes these are.
Imports `bench.soak.calls` and daffi.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from bench.soak.calls import SIZES, Lane
from daffi import SerdeFormat
from daffi.exceptions import CallTimeout

Kind = Callable[[Lane], Awaitable[None]]


def objects(serde: SerdeFormat) -> Kind:
    """A call with plain values in one format."""

    async def call(lane: Lane) -> None:
        token = lane.token()
        payload = "x" * lane.dice.choice(SIZES)
        got = await lane.anyone().rpc(timeout=30, serde=serde).reflect(token, payload)
        lane.check(f"rpc {serde.name}", token, list(got), [token, payload])

    return call


async def opaque(lane: Lane) -> None:
    """A call with bytes."""
    token = lane.token()
    value = token.encode() + b":" + bytes(lane.dice.choice(SIZES))
    got = await lane.anyone().rpc(timeout=30, serde=SerdeFormat.OPAQUE).mirror(value)
    lane.check("rpc OPAQUE", token, got, value)


async def nested(lane: Lane) -> None:
    """A call whose callback calls another worker, and calls us back."""
    token = lane.token()
    got = await lane.routed.rpc(timeout=30).nested(token)
    lane.check("nested", token, got, [token, token, token])


async def cast(lane: Lane) -> None:
    """A cast to both workers."""
    token = lane.token()
    got = await lane.routed.cast(timeout=30).reflect(token, 1)
    lane.check("cast", token, got, {worker: [token, 1] for worker in lane.workers})


async def rpc_nowait(lane: Lane) -> None:
    """A call that nobody waits for, half of them not even to be sent; settled later."""
    conn, receiver, target = lane.someone()
    ledger = f"{lane.name}-rpc"
    sent = conn.rpc_nowait(receiver=receiver).enter(ledger)
    if lane.dice.random() < 0.5:
        await sent
    lane.sent[target, ledger] += 1
    lane.tally.add("rpc_nowait")


async def cast_nowait(lane: Lane) -> None:
    """A cast that nobody waits for; its ledger is settled later."""
    ledger = f"{lane.name}-cast"
    await lane.routed.cast_nowait().enter(ledger)
    for worker in lane.workers:
        lane.sent[worker, ledger] += 1
    lane.tally.add("cast_nowait")


def streams(acknowledged: bool) -> Kind:
    """A stream of a few items from an async generator, which must arrive once and in order."""
    kind = "stream" if acknowledged else "stream_nowait"

    async def call(lane: Lane) -> None:
        conn, receiver, _ = lane.someone()
        token = lane.token()
        count = lane.dice.randint(1, 30)
        padding = bytes(lane.dice.choice(SIZES[:-1]))

        async def items() -> AsyncIterator[bytes]:
            for number in range(count):
                yield f"{token}:{number}:".encode() + padding

        if acknowledged:
            await conn.stream(timeout=30, receiver=receiver).flow(items())
        else:
            await conn.stream_nowait(receiver=receiver).flow(items())
        limit = time.monotonic() + 30
        while not (got := await conn.rpc(timeout=30, receiver=receiver).flowed(token, count)):
            if acknowledged or time.monotonic() > limit:
                got = "lost"
                break
            await asyncio.sleep(0.001)
        lane.check(kind, token, got, "in order")

    return call


async def raising(lane: Lane) -> None:
    """A callback that raises: the same exception, with our token."""
    token = lane.token()
    try:
        got: object = await lane.anyone().rpc(timeout=30).fail(token)
    except ValueError as error:
        got = error.args
    lane.check("raising", token, got, (token,))


async def timing_out(lane: Lane) -> None:
    """A callback that is not done in time, half of them such that can be cancelled."""
    token = lane.token()
    got: object = "an answer"
    began = time.monotonic()
    try:
        if lane.dice.random() < 0.5:
            await lane.anyone().rpc(timeout=0.005).linger(1.0)
        else:
            await lane.anyone().rpc(timeout=0.005).pause(0.03)
        if time.monotonic() - began >= 0.03:
            return  # this process did not get to run meanwhile: what is done wins
    except CallTimeout:
        got = "timeout"
    lane.check("timing out", token, got, "timeout")


async def cancelled(lane: Lane) -> None:
    """A call that its task, or `wait_for`, cancels while it runs, or before it has begun."""
    token = lane.token()
    got: object = "an answer"
    after = lane.dice.choice((0.0, lane.dice.uniform(0.0, 0.02)))
    call = lane.anyone().rpc(timeout=30).linger(10.0)
    try:
        if lane.dice.random() < 0.5:
            await asyncio.wait_for(call, after)
        else:
            task = asyncio.ensure_future(call)
            await asyncio.sleep(after)
            task.cancel()
            await task
    except (asyncio.CancelledError, asyncio.TimeoutError):
        got = "cancelled"
    lane.check("cancelled", token, got, "cancelled")


async def settle(lane: Lane) -> None:
    """Wait until all that nobody waited for has arrived; report what is lost or came twice."""
    for (target, ledger), count in lane.sent.items():
        conn = lane.direct if target == "service" else lane.routed
        receiver = None if target == "service" else target
        limit = time.monotonic() + 20
        while (arrived := await conn.rpc(timeout=30, receiver=receiver).entered(ledger)) != count:
            if time.monotonic() > limit or arrived > count:
                lane.tally.wrong(f"{ledger} at {target}: {arrived} of {count} arrived")
                return
            await asyncio.sleep(0.005)

"""The scenarios as the other libraries do them; the same work and the same clock as for daffi.

Lives here: a function for each scenario and role, over the module that the order names.
Imports that module, `bench.aio.pace`, `bench.pace`, `bench.payloads` and `bench.talk`.
"""

import asyncio
import importlib
from typing import Any

from bench import pace, talk
from bench.aio import pace as aio_pace
from bench.pace import Order
from bench.payloads import RECORD


def _peer(order: Order) -> Any:
    return importlib.import_module(f"bench.peers.{order['peer']}")


def _say(order: Order, value: float, run: pace.Run) -> None:
    talk.figure(value, _peer(order).VERSION, run.cpu)


def serve(order: Order) -> None:
    """Answer calls until the parent ends us."""
    _peer(order).serve(order)


def broker(order: Order) -> None:
    """Stand between callers and who serves, until the parent ends us."""
    _peer(order).broker(order)


def add(order: Order) -> None:
    """Small calls, one after another, per second."""
    with _peer(order).connect(order) as far:
        if far.add(1, 2) != 3:
            raise AssertionError("a wrong sum")
        run = pace.repeat(lambda: far.add(1, 2), order)
    _say(order, run.rate, run)


def threads(order: Order) -> None:
    """Small calls from several threads on one connection, per second."""
    with _peer(order).connect(order) as far:
        run = pace.repeat_threads(lambda: far.add(1, 2), order)
    _say(order, run.rate, run)


def record(order: Order) -> None:
    """The record there and back, per second."""
    with _peer(order).connect(order) as far:
        if far.record(RECORD) != RECORD:
            raise AssertionError("the record came back changed")
        run = pace.repeat(lambda: far.record(RECORD), order)
    _say(order, run.rate, run)


def echo(order: Order) -> None:
    """Bytes there and back, GiB/s both ways together."""
    value = bytes(order["size"])
    with _peer(order).connect(order) as far:

        def work() -> None:
            if len(far.echo(value)) != len(value):
                raise AssertionError("something else came back")

        run = pace.repeat(work, order)
    _say(order, pace.gibibytes(run, order["size"]), run)


def aio_add(order: Order) -> None:
    """Small calls from asyncio, so many in flight as the order says, per second."""

    async def main() -> None:
        async with _peer(order).connect(order) as far:
            if await far.add(1, 2) != 3:
                raise AssertionError("a wrong sum")
            crowd = [lambda: far.add(1, 2)] * order.get("flying", 1)
            run = await aio_pace.repeat(crowd, order)
        _say(order, run.rate, run)

    asyncio.run(main())

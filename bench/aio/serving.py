"""The asyncio roles that serve: each is a process of its own that stays until the parent ends it.

Lives here: one function per role, named by `bench.stage`. The Router is the one of
`bench.serving`. Imports `loops`, `talk`, and `callbacks` only inside a role that offers them.
"""

import asyncio
from typing import Any

from bench import talk
from bench.aio import loops
from daffi.aio import AsyncClient, AsyncService


def service(order: dict[str, Any]) -> None:
    """A Service with the bench's coroutine functions."""
    import bench.aio.callbacks

    bench.aio.callbacks.offer(order.get("functions", 0))
    loops.run(order, _service)


async def _service(order: dict[str, Any]) -> None:
    node = AsyncService("service", **order["address"])
    await node.start()
    await _stay([])


def worker(order: dict[str, Any]) -> None:
    """Clients of the Router, with the bench's coroutine functions: one, or `members` of them."""
    import bench.aio.callbacks  # noqa: F401 - registers what it serves

    loops.run(order, _worker)


async def _worker(order: dict[str, Any]) -> None:
    names = [f"{order['name']}-{number}" for number in range(order.get("members", 1))]
    nodes = [AsyncClient(name, **order["address"]) for name in names]
    for node in nodes:
        await node.connect()
    await _stay(names)


async def _stay(names: list[str]) -> None:
    talk.say(ready=True, names=names)
    await asyncio.Event().wait()

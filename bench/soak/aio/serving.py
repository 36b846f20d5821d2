"""The soak's asyncio roles that serve: a worker, a Service. The Router is `bench.soak.serving`'s.

Lives here: making the node, and answering the parent from a thread. Imports `loops`,
`sampling`, `talk`, and `callbacks` only inside a role that offers them.
"""

import asyncio
import threading
from typing import Any

from bench import talk
from bench.aio import loops
from bench.soak.sampling import Node, answer_for_ever, sample
from daffi.aio import AsyncClient, AsyncService


def service(order: dict[str, Any]) -> None:
    """The Service."""
    import bench.soak.aio.callbacks  # noqa: F401 - registers what it serves

    loops.run(order, _service)


async def _service(order: dict[str, Any]) -> None:
    node = AsyncService("service", **order["address"], workers=order["workers"])
    await node.start()
    await _serve(node)


def worker(order: dict[str, Any]) -> None:
    """A worker of the Router, which also calls."""
    loops.run(order, _worker)


async def _worker(order: dict[str, Any]) -> None:
    from bench.soak.aio import callbacks

    node = AsyncClient(order["name"], **order["address"], workers=order["workers"])
    callbacks.outward = await node.connect()
    await _serve(node)


async def _serve(node: Node) -> None:
    answers = {"sample": lambda: sample({"node": node})}
    threading.Thread(target=answer_for_ever, args=(answers,), daemon=True).start()
    talk.say(ready=True)
    await asyncio.Event().wait()

"""gRPC on asyncio: `grpc.aio` at both ends.

Lives here: both ends. Imports `bench.talk`, and messages and address from `grpc`'s module.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio

from bench import talk
from bench.pace import Order
from bench.peers.grpc import LARGE, PROTOS, SERVICES, VERSION, target

__all__ = ["VERSION", "connect", "serve"]


class _Far(SERVICES.FarServicer):  # type: ignore[misc]  # made at run time
    async def Add(self, pair: Any, _context: Any) -> Any:
        return PROTOS.Sum(value=pair.left + pair.right)


def serve(order: Order) -> None:
    """A server on a loop."""

    async def main() -> None:
        server = grpc.aio.server(options=LARGE)
        SERVICES.add_FarServicer_to_server(_Far(), server)
        server.add_insecure_port(target(order))
        await server.start()
        talk.say(ready=True)
        await server.wait_for_termination()

    asyncio.run(main())


class _Near:
    def __init__(self, channel: Any) -> None:
        self._stub = SERVICES.FarStub(channel)

    async def add(self, left: int, right: int) -> int:
        sum_: int = (await self._stub.Add(PROTOS.Pair(left=left, right=right))).value
        return sum_


@asynccontextmanager
async def connect(order: Order) -> AsyncIterator[_Near]:
    """One channel."""
    async with grpc.aio.insecure_channel(target(order), options=LARGE) as channel:
        yield _Near(channel)

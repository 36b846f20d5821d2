"""The floor of asyncio: what its own streams do with the same bytes.

Lives here: an echo server and its caller over `asyncio.start_server` and
`asyncio.open_connection`, without daffi. Imports `bench.talk`, `loops` and `pace`.
"""

import asyncio

from bench import talk
from bench.aio import loops, pace
from bench.aio.loops import Order


def server(order: Order) -> None:
    """Echo messages of one size."""
    loops.run(order, _server)


async def _server(order: Order) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(await reader.readexactly(order["size"]))
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    address = order["address"]
    async with await asyncio.start_server(serve, address["host"], address["port"]):
        talk.say(ready=True)
        await asyncio.Event().wait()


def ping(order: Order) -> None:
    """Messages there and back, one after another, per second."""
    loops.run(order, _ping)


async def _ping(order: Order) -> None:
    reader, writer = await asyncio.open_connection(*order["address"].values())
    message = bytes(order["size"])

    async def trip() -> None:
        writer.write(message)
        await writer.drain()
        await reader.readexactly(len(message))

    run = await pace.repeat([trip], order)
    talk.figure(run.rate, "asyncio streams", run.cpu)
    writer.close()

"""Works on asyncio, and ends in some way: by itself, by a signal, or with everything pending."""

from __future__ import annotations

import asyncio
import sys
import threading

from daffi import callback
from daffi.aio import AsyncClient, AsyncRouter, AsyncService


@callback
async def hold() -> None:
    """For ever."""
    await asyncio.sleep(1000)


@callback
def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


async def work() -> None:
    async with AsyncService() as service, AsyncClient(port=service.port) as conn:
        await asyncio.gather(*(conn.rpc().add(number, 1) for number in range(50)))
        for call in (conn.rpc().hold(), conn.cast().hold()):
            task = asyncio.create_task(call)
            await asyncio.wait([task], timeout=0.1)
            task.cancel()
        conn.rpc().add("no", 1)  # fails, and nobody waits


async def pending() -> None:
    router = AsyncRouter()
    await router.start()
    worker = AsyncClient(port=router.port)
    await worker.connect()
    client = AsyncClient(port=router.port)
    client.add_event_handler(lambda event: None)
    conn = await client.connect()
    await conn.wait_for_function("hold")
    conn.rpc().hold()
    conn.stream(serde="json").hold(iter([1, 2]))
    await asyncio.sleep(0.1)


async def calling() -> None:
    async with AsyncService() as service, AsyncClient(port=service.port) as conn:
        threading.Timer(0.1, print, ["waiting"]).start()
        await conn.rpc().hold()


async def joined() -> None:
    router = AsyncRouter()
    await router.start()
    worker = AsyncClient(port=router.port)
    await worker.connect()
    threading.Timer(0.1, print, ["waiting"]).start()
    await asyncio.gather(router.join(), worker.join())
    print("returned")


def main(mode: str) -> None:
    print("ready")
    try:
        run = {"work": work, "pending": pending, "calling": calling, "joined": joined}[mode]
        if len(sys.argv) > 2:
            import uvloop

            uvloop.run(run())
        else:
            asyncio.run(run())
    except KeyboardInterrupt:
        print("interrupted")
    print("over")


main(sys.argv[1])

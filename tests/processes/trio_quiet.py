"""Works on Trio, and ends in some way: by itself, by a signal, or with everything pending."""

from __future__ import annotations

import sys
import threading

import trio

from daffi import callback
from daffi.trio import AsyncClient, AsyncRouter, AsyncService


@callback
async def hold() -> None:
    """For ever."""
    await trio.sleep_forever()


@callback
def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


async def work() -> None:
    async with AsyncService() as service, AsyncClient(port=service.port) as conn:
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(conn.rpc().add, number, 1)
        with trio.move_on_after(0.1):
            await conn.rpc().hold()
        with trio.move_on_after(0.1):
            await conn.cast().hold()


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
    await trio.sleep(0.1)


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
    async with trio.open_nursery() as nursery:
        nursery.start_soon(router.join)
        nursery.start_soon(worker.join)
    print("returned")


def main(mode: str) -> None:
    print("ready")
    try:
        trio.run({"work": work, "pending": pending, "calling": calling, "joined": joined}[mode])
    except KeyboardInterrupt:
        print("interrupted")
    print("asyncio", "asyncio" in sys.modules)


main(sys.argv[1])

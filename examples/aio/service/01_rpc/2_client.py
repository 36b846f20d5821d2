"""A Client on asyncio that calls the functions of `1_service.py`.

In the second terminal:

    python 2_client.py [port]

A call is sent when it is made. What it returns is awaited once, or given to whatever takes a
coroutine or a future: `gather`, `create_task`, `wait_for`, `TaskGroup.create_task`, ...

It prints:

    add: 7
    two at once: 5.00 EUR and 4.20 EUR
    a thousand at once: True
    already on its way: 30
    too slow: CallTimeout
    cancelled
    the function raised: KeyError ('soup',)
    nobody has it: TransmissionFailure
    note sent
"""

import asyncio
import sys

from daffi.aio import AsyncClient
from daffi.exceptions import CallTimeout, TransmissionFailure

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    client = AsyncClient("shopper", "127.0.0.1", PORT)
    # `wait=10`: keep trying for ten seconds, should the service not be up yet.
    conn = await client.connect(wait=10)

    print("add:", await conn.rpc().add(3, 4))

    # What rpc() returns holds the options, and may be kept and used from any task.
    shop = conn.rpc(timeout=5)
    tea, cake = await asyncio.gather(shop.price("tea", amount=2), shop.price("cake"))
    print(f"two at once: {tea} and {cake}")

    sums = await asyncio.gather(*(shop.add(n, n) for n in range(1000)))
    print("a thousand at once:", sums == [2 * n for n in range(1000)])

    # No task is needed for two things to happen at once.
    call = shop.add(10, 20)
    await asyncio.sleep(0.1)  # it is answered meanwhile
    print("already on its way:", await call)

    # The timeout of a call, or anything that cancels: the callback is cancelled over there.
    try:
        await conn.rpc(timeout=0.2).think("time was over")
    except CallTimeout as error:
        print("too slow:", type(error).__name__)
    task = asyncio.create_task(conn.rpc().think("the task was cancelled"))
    await shop.add(0, 0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled")

    # An exception of the function arrives here as its own type.
    try:
        await shop.price("soup")
    except KeyError as error:
        print("the function raised: KeyError", error.args)
    try:
        await shop.fly()
    except TransmissionFailure as error:  # its text lists who is there and what they offer
        print("nobody has it:", type(error).__name__)

    # Sent, awaited or not. stop() sees to it that nothing which was sent is lost.
    conn.rpc_nowait().note("that was all")
    print("note sent")
    await client.stop()


asyncio.run(main())

"""A Client on Trio that calls the functions of `1_service.py`.

In the second terminal:

    python 2_client.py [port]

A call is sent when it is made, and awaited once. The other side may be blocking, asyncio, or
Trio as here: calls are the same.

It prints:

    add: 7
    on their way together: True
    in a nursery: cake 4.20 EUR, tea 2.50 EUR
    given up
    the function raised: KeyError ('soup',)
    note sent
"""

import sys

import trio

from daffi.trio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    async with AsyncClient("shopper", "127.0.0.1", PORT) as conn:
        print("add:", await conn.rpc().add(3, 4))

        # All of them are sent before the first is awaited.
        shop = conn.rpc(timeout=5)
        calls = [shop.add(n, n) for n in range(1000)]
        print("on their way together:", [await call for call in calls] == list(range(0, 2000, 2)))

        # Tasks in a nursery, each with calls of its own, over the one connection.
        prices: dict[str, str] = {}

        async def ask(item: str) -> None:
            prices[item] = await shop.price(item)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "tea")
            nursery.start_soon(ask, "cake")
        print("in a nursery:", ", ".join(f"{item} {prices[item]}" for item in sorted(prices)))

        # What cancels the scope cancels the callback over there.
        with trio.move_on_after(0.2) as scope:
            await conn.rpc().think()
        if scope.cancelled_caught:
            print("given up")

        try:
            await shop.price("soup")
        except KeyError as error:
            print("the function raised: KeyError", error.args)

        # Sent, awaited or not.
        conn.rpc_nowait().note("that was all")
        print("note sent")


trio.run(main)

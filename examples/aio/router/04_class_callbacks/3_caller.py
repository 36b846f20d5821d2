"""Two callers in one process, each with a connection of its own.

In the third terminal:

    python 3_caller.py [port]

It prints:

    menu: soup, pasta, cake
    anna gets: soup, hot; pasta, hot; cake, hot
    ben gets: cake, hot
    served: anna 3, ben 1
    most at once: 2
"""

import asyncio
import sys

from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    async with (
        AsyncClient("anna", "127.0.0.1", PORT) as anna,
        AsyncClient("ben", "127.0.0.1", PORT) as ben,
    ):
        await anna.wait_for_function("cook", timeout=30)
        menu = await anna.rpc(timeout=5).menu()
        print("menu:", ", ".join(menu))

        orders = asyncio.gather(*(anna.rpc(timeout=10).cook(dish) for dish in menu))
        cake = await ben.rpc(timeout=10).cook("cake")
        print("anna gets:", "; ".join(await orders))
        print("ben gets:", cake)

        served = await ben.rpc().served()
        print("served:", ", ".join(f"{who} {len(what)}" for who, what in sorted(served.items())))
        print("most at once:", await ben.rpc().busiest())


asyncio.run(main())

"""Asks all workers at once.

In the last terminal, after starting three workers:

    python 2_worker.py 7700 berlin 10
    python 2_worker.py 7700 madrid -1
    python 2_worker.py 7700 warsaw 30 60

    python 3_caller.py [port]

It prints:

    in time: berlin 10, madrid failed (this shop is closed)
    by name: {'berlin': 10}
    price sent
    called off
"""

import asyncio
import sys

from daffi.aio import AsyncClient
from daffi.exceptions import CallTimeout

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    async with AsyncClient("headquarters", "127.0.0.1", PORT) as conn:
        await conn.wait_for_members("berlin", "madrid", "warsaw", timeout=30)

        # One answer for each worker that offers the function; one that failed has its exception
        # as its value. `timeout` is for the whole cast. What came in time is in `partial`.
        try:
            answers = await conn.cast(timeout=0.5).in_stock("tea")
        except CallTimeout as error:
            answers = error.partial
        said = [
            f"{name} failed ({stock})" if isinstance(stock, RuntimeError) else f"{name} {stock}"
            for name, stock in sorted(answers.items())
        ]
        print("in time:", ", ".join(said))

        # `receiver` is a name or a list of names. If one of them is not there, nobody is asked.
        print("by name:", await conn.cast(receiver=["berlin"]).in_stock("tea"))

        conn.cast_nowait().set_price("tea", 275)
        print("price sent")

        # What cancels a cast cancels it everywhere.
        try:
            await asyncio.wait_for(conn.cast().take_stock(), 0.5)
        except asyncio.TimeoutError:
            print("called off")


asyncio.run(main())

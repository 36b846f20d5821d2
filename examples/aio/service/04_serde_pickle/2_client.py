"""Sends Python objects as they are, from an event loop.

In the second terminal:

    python 2_client.py [port]

Arguments are packed when the call is made: what is changed afterwards makes no difference,
but for large buffers, which are sent from where they are. Leave those alone until the call
has ended.

It prints:

    its own coroutine, over there: slept 0.1 s in another process
    total: 6.70
    8 MiB reversed: True
    not sent: SerializationError
"""

import asyncio
import os
import sys
import threading
from dataclasses import dataclass
from decimal import Decimal

from daffi.aio import AsyncClient
from daffi.exceptions import SerializationError

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@dataclass
class Order:
    """Nobody but this program has this class."""

    prices: dict[str, Decimal]


async def nap(seconds: float, here: int) -> str:
    """Runs on the loop of the Service."""
    await asyncio.sleep(seconds)
    where = "this process" if os.getpid() == here else "another process"
    return f"slept {seconds} s in {where}"


async def main() -> None:
    async with AsyncClient("scientist", "127.0.0.1", PORT) as conn:
        call = conn.rpc(timeout=10)  # serde="pickle" is the default of every style but streams
        print("its own coroutine, over there:", await call.run(nap, 0.1, os.getpid()))

        order = Order({"tea": Decimal("2.50"), "cake": Decimal("4.20")})
        answer = call.total(order)
        order.prices.clear()  # too late to change what was sent
        print("total:", await answer)

        data = bytearray(range(256)) * (8 * 1024 * 1024 // 256)
        print("8 MiB reversed:", await call.reverse(data) == data[::-1])

        try:
            call.total(threading.Lock())
        except SerializationError as error:  # raised by the call itself: nothing was sent
            print("not sent:", type(error).__name__)


asyncio.run(main())

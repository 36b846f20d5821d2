"""A Service on Trio: `async def` callbacks run on Trio, each in a cancel scope of its own.

In the first terminal:

    python 1_service.py [port]

Trio is a package of its own: `pip install trio`. Nothing of asyncio is used.

It prints:

    ready on 127.0.0.1:7700
    nobody waits any longer
    note from shopper: that was all
    stopped
"""

import sys
import time

import trio

from daffi import callback, current_call
from daffi.trio import AsyncService

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
async def add(a: int, b: int) -> int:
    """A Trio coroutine."""
    await trio.sleep(0.1)
    return a + b


@callback
def price(item: str, *, amount: int = 1) -> str:
    """Not `async def`, so it runs in a thread and may block."""
    time.sleep(0.1)
    cents = {"tea": 250, "cake": 420}[item] * amount
    return f"{cents / 100:.2f} EUR"


@callback
async def think() -> None:
    """Goes on until nobody wants to know any more: cancelling the call cancels this."""
    try:
        await trio.sleep_forever()
    finally:
        print("nobody waits any longer", flush=True)


@callback
async def note(text: str) -> None:
    """Write a line on this terminal, with the name of whoever sent it."""
    print(f"note from {current_call().caller}: {text}", flush=True)


async def main() -> None:
    async with AsyncService("shop", "127.0.0.1", PORT) as service:
        print(f"ready on {service.host}:{service.port}", flush=True)
        await service.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    trio.run(main)

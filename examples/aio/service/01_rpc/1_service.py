"""A Service on asyncio: `async def` callbacks are tasks on its loop, others run in threads.

In the first terminal:

    python 1_service.py [port]

As many callbacks run at once as `workers` says, 100 on an asyncio node. `join()` waits until
Ctrl-C or SIGTERM, lets the calls that are running finish, and returns.

It prints:

    ready on 127.0.0.1:7700
    nobody waits any longer: time was over
    nobody waits any longer: the task was cancelled
    note from shopper: that was all
    stopped
"""

import asyncio
import sys
import time

from daffi import callback, current_call
from daffi.aio import AsyncService

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
async def add(a: int, b: int) -> int:
    """Runs on the loop."""
    await asyncio.sleep(0.1)  # a thousand of these take no more time than ten
    return a + b


@callback
def price(item: str, *, amount: int = 1) -> str:
    """Runs in a thread: what blocks, or takes long to work out, does not hold up the loop."""
    time.sleep(0.1)
    cents = {"tea": 250, "cake": 420}[item] * amount
    return f"{cents / 100:.2f} EUR"


@callback
async def think(why: str) -> None:
    """Goes on until nobody wants to know any more: cancelling the call cancels this task."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print(f"nobody waits any longer: {why}", flush=True)
        raise


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
    asyncio.run(main())

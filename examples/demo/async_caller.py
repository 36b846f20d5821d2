"""The asyncio caller of the demo: `python async_caller.py PORT thousand`.

Says what happened as `caller.py` does, and like it ends when its standard input does.
"""

import asyncio
import json
import os
import sys
import threading
import time

from daffi.aio import AsyncClient, AsyncClientConnection

PORT, ACT = int(sys.argv[1]), sys.argv[2]
MANY = 1000


def stop_with_parent() -> None:
    """The read returns when whoever started this is gone: nobody would hear the result."""
    os.read(0, 1)
    os._exit(1)


def tell(**facts: object) -> None:
    """Say something to the demo."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def naps(conn: AsyncClientConnection) -> dict[str, object]:
    """A thousand calls that take a second each, all under way at once; one is cancelled."""
    call = conn.rpc(timeout=20)
    began = time.perf_counter()
    calls = [asyncio.ensure_future(call.nap(number, 1.0)) for number in range(MANY)]
    await asyncio.wait(calls, timeout=0.5)  # seconds: nobody is done yet
    calls[MANY // 2].cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    seconds = time.perf_counter() - began
    right = sum(answer == number for number, answer in enumerate(answers))
    return {"answers": right, "napped": seconds, "cancelled": await call.cancelled_naps()}


async def rate(conn: AsyncClientConnection) -> dict[str, object]:
    """As many small calls as go with a thousand of them in flight, in two seconds."""
    call = conn.rpc(timeout=20)
    calls = 0
    began = time.perf_counter()
    end = began + 2

    async def keep_one_in_flight(slot: int) -> None:
        nonlocal calls
        while time.perf_counter() < end:
            assert await call.plus(slot, 1) == slot + 1
            calls += 1

    async def report() -> None:
        last = began
        while last < end:
            await asyncio.sleep(0.1)
            now = time.perf_counter()
            tell(step=now - last, note=f"{calls / (now - began):,.0f} calls/s")
            last = now

    await asyncio.gather(report(), *(keep_one_in_flight(slot) for slot in range(MANY)))
    return {"calls": calls, "seconds": time.perf_counter() - began}


async def thousand() -> None:
    """What the scene shows."""
    async with AsyncClient(None, "127.0.0.1", PORT) as conn:
        await conn.wait_for_function("nap", timeout=10)
        tell(result={**await naps(conn), **await rate(conn)})


threading.Thread(target=stop_with_parent, daemon=True).start()
asyncio.run({"thousand": thousand}[ACT]())

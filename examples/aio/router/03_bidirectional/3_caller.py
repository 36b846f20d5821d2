"""A caller with functions of its own.

In the third terminal:

    python 3_caller.py [port]

It prints:

    1 of 3
    copy b.old? no
    3 of 3
    copied: 2
    4 is for worker
    2 is for worker
    5 is odd: True
    cancelled
    pondering no more
"""

import asyncio
import sys

from daffi import callback
from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    pondering, done = asyncio.Event(), asyncio.Event()

    async with AsyncClient("client", "127.0.0.1", PORT) as conn:

        @callback
        async def progress(done: int, total: int) -> None:
            """Called by the worker, while this program waits for `copy_files`."""
            print(f"{done} of {total}", flush=True)

        @callback
        async def confirm(question: str) -> bool:
            """Called by the worker, which waits for the answer."""
            print(f"{question} no", flush=True)
            return False

        @callback
        async def even(n: int) -> bool:
            """Whether n is even: n - 1 must be odd, which the worker knows."""
            if n == 0:
                return True
            print(f"{n} is for worker", flush=True)
            return bool(await conn.rpc().odd(n - 1))

        @callback
        async def ponder() -> None:
            """Called by the worker, which is called from below."""
            pondering.set()
            try:
                await asyncio.sleep(600)
            finally:
                print("pondering no more", flush=True)
                done.set()

        await conn.wait_for_function("copy_files", timeout=30)
        print("copied:", await conn.rpc(timeout=10).copy_files(["a.txt", "b.old", "c.txt"]))

        # Worker and client call each other six times deep. The timeout is inherited all the way.
        print("5 is odd:", await conn.rpc(timeout=10).odd(5))

        # So is a cancellation: client -> worker -> client.
        asking = asyncio.ensure_future(conn.rpc().ask())
        await pondering.wait()
        asking.cancel()
        print("cancelled")
        await done.wait()


asyncio.run(main())

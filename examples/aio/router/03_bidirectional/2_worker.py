"""A worker that calls its caller back while it works.

In the second terminal:

    python 2_worker.py [port]

A callback may call on, to anybody. Calls that it makes belong to the one it answers: they
inherit its deadline, and are cancelled with it.

It prints:

    ready: worker
    5 is for client
    3 is for client
    1 is for client
    asking no more
    stopped
"""

import asyncio
import sys

from daffi import callback, current_call
from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

worker = AsyncClient("worker", "127.0.0.1", PORT)


async def main() -> None:
    conn = await worker.connect(wait=10)

    # Functions may be registered at any time, and are announced at once. These come after the
    # connection because they use it, and the first call may come at any moment.

    @callback
    async def copy_files(names: list[str]) -> int:
        """Report progress to whoever called, and ask it what to do in doubt."""
        caller = conn.rpc(receiver=current_call().caller)
        copied = 0
        for number, name in enumerate(names, start=1):
            if name.endswith(".old") and not await caller.confirm(f"copy {name}?"):
                continue
            copied += 1
            await caller.progress(number, len(names))
        return copied

    @callback
    async def odd(n: int) -> bool:
        """Whether n is odd: n - 1 must be even, which the client knows."""
        print(f"{n} is for client", flush=True)
        return bool(await conn.rpc().even(n - 1))

    @callback
    async def ask() -> None:
        """Asks something that takes the client for ever."""
        try:
            await conn.rpc().ponder()
        finally:
            print("asking no more", flush=True)

    print("ready: worker", flush=True)
    await worker.join()
    print("stopped", flush=True)


asyncio.run(main())

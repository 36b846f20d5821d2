"""A caller that starts first and waits for the others.

In any terminal, at any time:

    python 3_caller.py [port]

Waiting is not polling: the Router says so when somebody comes.

It prints:

    waiting for left and right
    not here yet: TimeoutError
    somebody offers hand
    both are here
    hands: left, right
"""

import asyncio
import sys

from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    client = AsyncClient("caller", "127.0.0.1", PORT)
    conn = await client.connect(wait=60)
    print("waiting for left and right", flush=True)

    # `timeout` in seconds; without it, it waits for ever.
    try:
        await conn.wait_for_members("nobody", timeout=0.1)
    except TimeoutError as error:
        print("not here yet:", type(error).__name__, flush=True)

    # By what is offered, whoever offers it; or by name. As with every coroutine, a task can do
    # the waiting while the program goes on.
    everybody = asyncio.create_task(conn.wait_for_members("left", "right", timeout=60))
    await conn.wait_for_function("hand", timeout=60)
    print("somebody offers hand")
    await everybody
    print("both are here")
    print("hands:", ", ".join(sorted((await conn.cast(timeout=5).hand()).values())))
    await client.stop()


asyncio.run(main())

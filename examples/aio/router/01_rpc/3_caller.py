"""A caller: an AsyncClient that calls what workers offer.

In the last terminal, with worker-1 and worker-2 running:

    python 3_caller.py [port]

Who runs a call is decided by the Router, in turn. With two workers and twenty calls it is ten
each, however many callers there are.

It prints:

    worker-1: 10 of 20
    worker-2: 10 of 20
    in order and complete: True
    first: worker-1, cancelled: 1
    first: worker-2, cancelled: 1
    no such worker: TransmissionFailure
"""

import asyncio
import sys
from collections import Counter

from daffi.aio import AsyncClient
from daffi.exceptions import TransmissionFailure

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    async with AsyncClient("caller", "127.0.0.1", PORT) as conn:
        await conn.wait_for_members("worker-1", "worker-2", timeout=30)

        call = conn.rpc(timeout=20)
        answers = await asyncio.gather(*(call.square(x) for x in range(20)))
        for name, times in sorted(Counter(name for name, _ in answers).items()):
            print(f"{name}: {times} of {len(answers)}")
        complete = [value for _, value in answers] == [x * x for x in range(20)]
        print("in order and complete:", complete)
        for name in ("worker-1", "worker-2"):
            conn.rpc_nowait(receiver=name).report()

        # `receiver` pins a call to one worker. Here both are asked; the slower one is told that
        # its answer is no longer wanted.
        for fast, slow in (("worker-1", "worker-2"), ("worker-2", "worker-1")):
            asked = [
                asyncio.ensure_future(conn.rpc(receiver=fast).race(0.1)),
                asyncio.ensure_future(conn.rpc(receiver=slow).race(60)),
            ]
            done, late = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            for each in late:
                each.cancel()
            print(f"first: {done.pop().result()}, cancelled: {len(late)}")

        try:
            await conn.rpc(receiver="worker-9").square(7)
        except TransmissionFailure as error:  # its text lists who is there
            print("no such worker:", type(error).__name__)


asyncio.run(main())

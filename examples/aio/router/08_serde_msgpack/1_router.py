"""A Router for MSGPACK: the format is a tag on the message, no more.

In the first terminal:

    python 1_router.py [port]

`balance="least_pending"` gives a call to the worker with the fewest calls under way, instead
of to the next in turn (`round_robin`, the default). It suits calls of very different length.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import asyncio
import sys

from daffi.aio import AsyncRouter

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    async with AsyncRouter("router", "127.0.0.1", PORT, balance="least_pending") as router:
        print(f"ready on {router.host}:{router.port}", flush=True)
        await router.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

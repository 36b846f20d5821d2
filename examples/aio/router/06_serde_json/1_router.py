"""A Router that lets no pickle through.

In the first terminal:

    python 1_router.py [port]

With `allow_pickle=False` every format but PICKLE passes: no caller can make a worker run code
that the worker does not have.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import asyncio
import sys

from daffi.aio import AsyncRouter

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    async with AsyncRouter("router", "127.0.0.1", PORT, allow_pickle=False) as router:
        print(f"ready on {router.host}:{router.port}", flush=True)
        await router.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

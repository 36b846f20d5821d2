"""A Router on asyncio: it has no functions, and passes calls on to those who have.

In the first terminal:

    python 1_router.py [port]

Routing is compiled code on threads of its own; the loop is only needed to start and to stop. So
it makes no difference to workers and callers whether their Router is this one or a blocking one.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import asyncio
import sys

from daffi.aio import AsyncRouter

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    async with AsyncRouter("router", "127.0.0.1", PORT) as router:
        print(f"ready on {router.host}:{router.port}", flush=True)
        await router.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

"""Whole classes as callbacks: methods that are `async def` beside methods that are not.

In the first terminal:

    python 1_service.py [port]

`@callback` on a class makes one object of it, with no arguments, and offers all its public
methods. What is asyncio's own is made when the loop runs, not when the class is defined.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import asyncio
import hashlib
import sys

from daffi import alias, callback, local
from daffi.aio import AsyncService

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
class Auction:
    """Its `async def` methods run on one loop: between two `await`s nothing else touches it."""

    def __init__(self) -> None:
        self._best = (0, "nobody")
        self._waiting: list[asyncio.Future[None]] = []

    async def bid(self, name: str, amount: int) -> bool:
        """Whether it is the highest so far."""
        if amount <= self._best[0]:
            return False
        self._best = (amount, name)
        self.wake()
        return True

    async def best(self) -> tuple[int, str]:
        return self._best

    @alias("wait_for")
    async def wait_until(self, amount: int) -> str:
        """Offered as `wait_for`: answers when somebody has bidden that much."""
        while self._best[0] < amount:
            self._waiting.append(asyncio.get_running_loop().create_future())
            await self._waiting[-1]
        return self._best[1]

    def certificate(self, name: str) -> str:
        """No `async def`: runs in a thread, for it takes a while."""
        return hashlib.pbkdf2_hmac("sha256", name.encode(), b"salt", 50_000).hex()[:16]

    @local
    def wake(self) -> None:
        """Public in Python, not offered to the network."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()


class Hall:
    """Can't be built without arguments, so it is not decorated."""

    def __init__(self, seats: int) -> None:
        self._free = asyncio.Semaphore(seats)

    async def take_seat(self) -> bool:
        if self._free.locked():
            return False
        return await self._free.acquire()


async def main() -> None:
    callback(Hall(seats=2).take_seat)  # a bound method; may be registered at any time
    async with AsyncService("house", "127.0.0.1", PORT) as service:
        print(f"ready on {service.host}:{service.port}", flush=True)
        await service.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

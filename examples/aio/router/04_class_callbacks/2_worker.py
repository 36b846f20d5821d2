"""A worker that is an object: a class as callbacks.

In the second terminal:

    python 2_worker.py [port]

All callers share the one object. `workers=2` lets two of its methods run at once; what comes
meanwhile waits its turn, and is cancelled there if its caller gives up.

It prints:

    ready: worker
    stopped
"""

import asyncio
import sys

from daffi import callback, current_call, local
from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
class Kitchen:
    """State that lives as long as the process."""

    def __init__(self) -> None:
        self._served: dict[str, list[str]] = {}
        self._at_once = self._most = 0

    async def cook(self, dish: str) -> str:
        """Only two cooks, whatever is ordered."""
        self._at_once += 1
        self._most = max(self._most, self._at_once)
        await asyncio.sleep(0.1)
        self._at_once -= 1
        self.remember(current_call().caller, dish)
        return f"{dish}, hot"

    async def served(self) -> dict[str, list[str]]:
        return self._served

    async def busiest(self) -> int:
        return self._most

    @staticmethod
    def menu() -> list[str]:
        """Not `async def`, so it runs in a thread."""
        return ["soup", "pasta", "cake"]

    @local
    def remember(self, guest: str, dish: str) -> None:
        """Public in Python, not offered to the network."""
        self._served.setdefault(guest, []).append(dish)


async def main() -> None:
    worker = AsyncClient("worker", "127.0.0.1", PORT, workers=2)
    await worker.connect(wait=10)
    print("ready: worker", flush=True)
    await worker.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

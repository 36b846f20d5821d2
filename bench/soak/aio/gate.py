"""Holding all lanes of an asyncio caller, and letting them go.

Lives here: what `bench.soak.gate` does for threads, for tasks of one loop. Imports nothing of
ours.
"""

import asyncio


class Gate:
    """Where lanes wait between two calls while the parent looks at idle nodes."""

    def __init__(self, lanes: int) -> None:
        self._open = asyncio.Event()
        self._all_here = asyncio.Event()
        self._lanes = lanes
        self._waiting = 0

    async def wait(self) -> None:
        """Pass if the gate is open, else stay until it is."""
        if self._open.is_set():
            return
        self._waiting += 1
        if self._waiting == self._lanes:
            self._all_here.set()
        await self._open.wait()
        self._waiting -= 1
        self._all_here.clear()

    @property
    def closing(self) -> bool:
        """Whether lanes are asked to settle and wait."""
        return not self._open.is_set()

    async def release(self) -> None:
        """Open the gate."""
        self._open.set()

    async def hold(self, timeout: float) -> bool:
        """Close the gate; whether every lane came to it in time."""
        self._open.clear()
        try:
            await asyncio.wait_for(self._all_here.wait(), timeout)
        except asyncio.TimeoutError:
            return False
        return True

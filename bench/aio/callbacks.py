"""What asyncio services and workers offer under the bench.

Lives here: coroutine functions that wait for nothing, so that the call is what is measured.
Imported by processes that serve, never by those that only call. Imports daffi only.
"""

import asyncio

from daffi import callback


@callback
async def add(left: int, right: int) -> int:
    """The small call."""
    return left + right


@callback
async def take(_value: bytes) -> bytes:
    """Receive, and no more."""
    return b""


@callback
async def give(size: str) -> bytes:
    """So many bytes."""
    return bytes(int(size))


@callback
async def park() -> None:
    """Stay in flight until cancelled."""
    await asyncio.Event().wait()


def offer(number: int) -> None:
    """Offer as many functions: `add_0`, `add_1` and so on."""

    def one(name: str) -> None:
        async def add(left: int, right: int) -> int:
            return left + right

        add.__name__ = add.__qualname__ = name
        callback(add)

    for each in range(number):
        one(f"add_{each}")

"""What asyncio services and workers offer under the bench.

Lives here: coroutine functions that wait for nothing, so that the call is what is measured.
Imported by processes that serve, never by those that only call. Imports daffi only.
"""

from daffi import callback


@callback
async def add(left: int, right: int) -> int:
    """The small call."""
    return left + right

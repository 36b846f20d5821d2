"""Calls in the hands of `asyncio.gather`, which asks more of a future than others do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from daffi import callback
from daffi.aio import AsyncClient, AsyncClientConnection, AsyncService


@callback
async def gathered_nap(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@pytest_asyncio.fixture
async def conn() -> AsyncIterator[AsyncClientConnection]:
    async with AsyncService("service") as service, AsyncClient(port=service.port) as conn:
        yield conn


async def test_a_call_cancelled_among_others_is_one_of_the_outcomes(
    conn: AsyncClientConnection,
) -> None:
    first = asyncio.ensure_future(conn.rpc().gathered_nap(60))
    all_of_them = asyncio.gather(first, conn.rpc().gathered_nap(0.01), return_exceptions=True)
    first.cancel("not this one")
    outcomes = await asyncio.wait_for(all_of_them, 5)
    assert repr(outcomes) == "[CancelledError('not this one'), 0.01]"


async def test_a_call_cancelled_among_others_cancels_the_whole(
    conn: AsyncClientConnection,
) -> None:
    first = asyncio.ensure_future(conn.rpc().gathered_nap(60))
    all_of_them = asyncio.gather(first, conn.rpc().gathered_nap(0.01))
    first.cancel("not this one")
    with pytest.raises(asyncio.CancelledError, match="not this one"):
        await all_of_them


async def test_the_whole_may_be_cancelled(conn: AsyncClientConnection) -> None:
    all_of_them = asyncio.gather(*(conn.rpc().gathered_nap(60) for _ in range(5)))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(all_of_them, 0.05)
    assert all_of_them.done()

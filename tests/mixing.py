"""Callbacks for nodes of several worlds: they call on by a connection of their own process.

Plain functions call by a blocking connection, coroutines by any. Nothing here knows a test.
Imports `daffi` and the standard library.
"""

from __future__ import annotations

import asyncio
from typing import Any

from daffi import callback, current_call
from daffi.sync import ClientConnection

reached: dict[str, Any] = {}  # name of a node of this process -> its connection
kept: dict[str, list[Any]] = {}  # by a key that the caller chooses

Hop = tuple[str, str, str]  # by whose connection, to whom, which function


async def reach(conn: Any, function: Any, *args: Any) -> Any:
    """Make a call from a coroutine; one that blocks in a thread, so that the loop goes on."""
    if isinstance(conn, ClientConnection):
        return await asyncio.to_thread(function, *args)
    return await function(*args)


@callback
def mix_hops(hops: list[Hop]) -> list[str]:
    """For each hop one call inside the other; who called each."""
    caller = [current_call().caller]
    if not hops:
        return caller
    (via, to, name), *rest = hops
    return caller + list(getattr(reached[via].rpc(timeout=20, receiver=to), name)(rest))


@callback
async def mix_hops_async(hops: list[Hop]) -> list[str]:
    """The same in a coroutine."""
    caller = [current_call().caller]
    if not hops:
        return caller
    (via, to, name), *rest = hops
    function = getattr(reached[via].rpc(timeout=20, receiver=to), name)
    return caller + list(await reach(reached[via], function, rest))


@callback
def mix_keep(item: tuple[str, Any]) -> None:
    """Keep an item of a stream."""
    key, value = item
    kept.setdefault(key, []).append(value)


@callback
async def mix_keep_async(item: tuple[str, Any]) -> None:
    """The same in a coroutine."""
    mix_keep(item)


@callback
def mix_kept(key: str) -> list[Any]:
    """What was kept, which is forgotten."""
    return kept.pop(key, [])


@callback
def mix_raise(text: str) -> None:
    """Fail."""
    raise ValueError(text)


@callback
async def mix_raise_async(text: str) -> None:
    """The same in a coroutine."""
    raise ValueError(text)

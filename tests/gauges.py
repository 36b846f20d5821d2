"""Waiting until nothing is under way: the gauges of every side are back at zero.

Imports worlds.
"""

from __future__ import annotations

import time
from typing import Any

from worlds import World

IDLE = ("calls_in_flight", "running", "queued", "streams", "transfers")


def busy(*nodes: Any) -> dict[str, dict[str, int]]:
    """The gauges that are not zero, by node."""
    found = {}
    for node in nodes:
        stats = node.stats()
        still = {name: stats[name] for name in IDLE if stats[name]}
        if still:
            found[node.app_name] = still
    return found


async def settled(world: World, *nodes: Any, within: float = 5.0) -> None:
    """Return when all gauges of all `nodes` are zero; `AssertionError` names those that stay."""
    deadline = time.monotonic() + within
    while still := busy(*nodes):
        if time.monotonic() > deadline:
            raise AssertionError(f"still under way after {within} s: {still}")
        await world.sleep(0.005)

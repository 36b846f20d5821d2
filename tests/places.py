"""Nodes of asyncio in one loop, what they run, and waiting until nothing is under way.

Imports `daffi` and the standard library, and `gauges`, `gates` and `offered` of the tests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import offered  # noqa: F401 - registers what workers offer
from gates import gate_of
from gauges import busy

from daffi import callback
from daffi.aio import AsyncClient, AsyncClientConnection, AsyncRouter, AsyncService


@callback
async def aio_stubborn(key: int, *_: Any) -> None:
    """Run until cancelled, and then await something before the end."""
    gate = gate_of(key)
    gate.enter()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        gate.cancelled += 1
        raise
    finally:
        await asyncio.sleep(0.05)
        gate.notes.append("cleaned")
        gate.leave()


@callback
async def aio_raise(text: str) -> None:
    """Fail."""
    raise ValueError(text)


@callback
async def aio_linger(seconds: float) -> float:
    """Take some time."""
    await asyncio.sleep(seconds)
    return seconds


class Place:
    """A Service and a caller, or a Router, a worker and a caller."""

    def __init__(
        self, topology: str, server: Any = None, worker: Any = None, caller: Any = None
    ) -> None:
        self.topology = topology
        self.server: AsyncRouter | AsyncService
        self.worker: AsyncClient | AsyncService
        if topology == "service":
            self.worker = self.server = AsyncService("worker", **(server or {}), **(worker or {}))
        else:
            self.server = AsyncRouter("server", **(server or {}))
        self._options = worker or {}, caller or {}
        self.caller: AsyncClient
        self.conn: AsyncClientConnection

    async def __aenter__(self) -> Place:
        await self.server.start()
        if self.topology == "router":
            self.worker = AsyncClient("worker", port=self.server.port, **self._options[0])
            await self.worker.connect()
        options = {"expose": (), **self._options[1]}
        self.caller = AsyncClient("caller", port=self.server.port, **options)
        self.conn = await self.caller.connect()
        await self.conn.wait_for_members("worker", timeout=10)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for node in (self.caller, self.worker, self.server):
            await node.stop()

    async def settled(self, within: float = 5.0) -> None:
        """Return when nothing is under way anywhere."""
        nodes = (self.caller, self.worker, self.server)
        await until(lambda: not busy(*nodes), within, lambda: str(busy(*nodes)))


async def until(
    condition: Callable[[], Any], within: float = 5.0, say: Callable[[], str] = str
) -> None:
    """Wait until `condition()` is true; `AssertionError` when it stays false."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"still not true after {within} s {say()}")
        await asyncio.sleep(0.005)

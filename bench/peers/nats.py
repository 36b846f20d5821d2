"""NATS: requests through a `nats-server` to a subscriber that responds, on asyncio.

Lives here: both ends, and starting the server. Arguments and sums are JSON. Imports
`bench.contest` and `bench.talk`.
"""

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import nats

from bench import contest, talk
from bench.pace import Order

VERSION = f"nats-py {version('nats-py')}"


def _url(order: Order) -> str:
    return "nats://{host}:{port}".format(**order["address"])


def broker(order: Order) -> None:
    """The server, which ends with us."""
    program, address = contest.nats_server(), order["address"]
    if program is None:
        raise RuntimeError("nats-server is missing")
    where = ["-a", address["host"], "-p", str(address["port"])]
    server = subprocess.Popen([program, *where], stderr=subprocess.DEVNULL)
    talk.before_the_end(server.kill)
    limit = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(tuple(address.values()), 1).close()
            break
        except ConnectionRefusedError:
            if server.poll() is not None or time.monotonic() > limit:
                raise
            time.sleep(0.02)
    talk.say(ready=True, pids=[server.pid])
    server.wait()


def serve(order: Order) -> None:
    """A subscriber that adds."""

    async def add(message: Any) -> None:
        left, right = json.loads(message.data)
        await message.respond(json.dumps(left + right).encode())

    async def main() -> None:
        client = await nats.connect(_url(order))
        await client.subscribe("add", cb=add)
        await client.flush()
        talk.say(ready=True)
        await asyncio.Event().wait()

    asyncio.run(main())


class _Near:
    def __init__(self, client: Any) -> None:
        self._client = client

    async def add(self, left: int, right: int) -> int:
        answer = await self._client.request("add", json.dumps([left, right]).encode(), timeout=30)
        sum_: int = json.loads(answer.data)
        return sum_


@asynccontextmanager
async def connect(order: Order) -> AsyncIterator[_Near]:
    """One client."""
    client = await nats.connect(_url(order))
    try:
        yield _Near(client)
    finally:
        await client.close()

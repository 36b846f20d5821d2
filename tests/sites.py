"""A site: a server, a worker and a caller, all in the test's own process.

One body runs over every transport and topology. In the `service` topology the server is
the worker; in the `router` topology the worker is a client of its own. Further workers and
callers join with `site.join(name, ...)`. The site stops what it started. Every worker has
`workers=1` where nothing else is said, in every world, so that a test can fill it with one call
and tell it by its one thread.

Imports worlds, gauges, gates and offered.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import offered  # noqa: F401 - registers what workers offer
import pytest
from gates import open_gates
from gauges import settled
from worlds import World

over_router = pytest.mark.parametrize("topology", ["router"], indirect=True)
over_service = pytest.mark.parametrize("topology", ["service"], indirect=True)
# The bytes travel in one more way: what shows that this works, over all of them. The rest of the
# tests leave it at TCP and Unix sockets, which the `transport` of conftest.py names.
over_all = pytest.mark.parametrize("transport", ["tcp", "unix", "tls", "ws", "wss"], indirect=True)
over_tcp_and_tls = pytest.mark.parametrize("transport", ["tcp", "tls"], indirect=True)
over_tcp = pytest.mark.parametrize("transport", ["tcp"], indirect=True)
# What an event loop has and a thread has not, and the other way round.
blocking_only = pytest.mark.parametrize("world", ["blocking"], indirect=True)
awaited_only = pytest.mark.parametrize("world", ["asyncio", "trio"], indirect=True)
# What takes long, and is done by the engine in the same way whoever waits for it.
engine_alone = blocking_only


class Tls(NamedTuple):
    """What a server and a client pass that speak TLS."""

    server: dict[str, Any]
    client: dict[str, Any]


class Site:
    """The nodes of one test; entered by the runner of the tests."""

    server: Any
    worker: Any
    caller: Any
    conn: Any  # the caller's connection

    def __init__(
        self,
        world: World,
        topology: str,
        transport: str,
        directory: Path,
        tls: Tls,
        *,
        server: dict[str, Any] | None = None,
        worker: dict[str, Any] | None = None,
        caller: dict[str, Any] | None = None,
    ) -> None:
        self.world = world
        self.topology = topology
        self.transport = transport
        self.directory = directory
        self.tls = tls
        self.nodes: dict[str, Any] = {}
        self.conns: dict[str, Any] = {}
        self._server = server or {}
        self._worker = worker or {}
        self._caller = caller or {}

    @property
    def address(self) -> dict[str, Any]:
        """What a client passes to find the server."""
        if self.transport == "unix":
            return {"unix_sock_path": self.directory / "s"}
        secured = self.tls.client if self.is_secure else {}
        if self.transport in ("ws", "wss"):
            return {**secured, "url": self.url}
        return {"host": "127.0.0.1", "port": self.server.port, **secured}

    @property
    def is_secure(self) -> bool:
        """Whether it speaks TLS."""
        return self.transport in ("tls", "wss")

    @property
    def serde(self) -> str:
        """A format that may travel: no pickles go over WebSocket."""
        return "MSGPACK" if self.transport in ("ws", "wss") else "PICKLE"

    @property
    def url(self) -> str:
        """The same as one string."""
        if self.transport == "unix":
            return f"unix://{self.directory / 's'}"
        return f"{self.transport}://127.0.0.1:{self.server.port}"

    @property
    def worker_name(self) -> str:
        """Who runs the callbacks."""
        return str(self.worker.app_name)

    async def join(self, name: str, **options: Any) -> Any:
        """One more client; its connection. Without `expose` it only calls."""
        options = {"expose": (), "workers": 1, **options}
        node = self.world.Client(name, **self.address, **options)
        conn = await self.world.call(node.connect)
        self.nodes[name] = node
        self.conns[name] = conn
        return conn

    async def start_server(self, port: int = 0) -> None:
        """Start the server; again, after a stop, with the port it had."""
        # TCP and WebSocket share a port.
        where: dict[str, Any] = {"port": port}
        if self.transport == "unix":
            where = self.address
        elif self.is_secure:
            where |= self.tls.server
        if self.topology == "service":
            options = {"workers": 1, **self._server, **self._worker}
            self.server = self.world.Service("server", **where, **options)
        else:
            self.server = self.world.Router("server", **where, **self._server)
        await self.world.call(self.server.start)
        self.nodes["server"] = self.server

    async def settled(self, *more: Any) -> None:
        """Wait until no side has anything under way; `AssertionError` if that never comes."""
        await settled(self.world, *self.nodes.values(), *more)

    async def __aenter__(self) -> Site:
        try:
            await self._build()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _build(self) -> None:
        await self.start_server()
        if self.topology == "service":
            self.worker = self.server
        else:
            await self.join("worker", **{"expose": None, **self._worker})
            self.worker = self.nodes["worker"]
        self.conn = await self.join("caller", **self._caller)
        self.caller = self.nodes["caller"]

    async def __aexit__(self, *_: object) -> None:
        open_gates()
        clients = [node for name, node in self.nodes.items() if name != "server"]
        await self.world.together([node.stop for node in clients])
        if "server" in self.nodes:
            await self.world.call(self.nodes["server"].stop)

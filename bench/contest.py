"""Who else is measured, in which rows, and by which of our child modules.

Lives here: data, and where the NATS server is. Imports `environments` and `row`.
"""

import os
import shutil
from dataclasses import dataclass

from bench.environments import ROOT
from bench.row import Row

ECHO = {"echo_64k": "echo", "echo_1m": "echo", "echo_16m": "echo"}
CALLS = {"add": "add", "record_pickle": "record", **ECHO}


@dataclass(frozen=True)
class Peer:
    """A library that calls or carries messages: its module in `bench.peers`, what it can do."""

    name: str
    title: str
    rows: dict[str, str]  # name of our row, scenario of bench.peers.calling

    def joins(self, row: Row) -> bool:
        """Whether it is measured in that row."""
        return row.name in self.rows


PEERS: tuple[Peer, ...] = (
    Peer("rpyc", "RPyC", {**CALLS, "threads": "threads"}),
    Peer("pyro5", "Pyro5", CALLS),
    Peer("zerorpc", "zerorpc", CALLS),
    Peer("grpc", "gRPC", {**CALLS, "threads": "threads"}),
    Peer("grpc_aio", "gRPC, asyncio", {"aio_add": "aio_add", "aio_200": "aio_add"}),
    Peer("pyzmq", "ZeroMQ", {**CALLS, "add_routed": "add"}),
    Peer("nats", "NATS, asyncio", {"add_routed": "aio_add", "aio_200_routed": "aio_add"}),
)


def invite(names: str) -> list[Peer]:
    """Those that are named, comma-separated, or `all`; `ValueError` lists whom there is."""
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    known = {peer.name for peer in PEERS}
    if wanted - known - {"all"}:
        there = ", ".join(sorted(known))
        raise ValueError(f"no peer is called {', '.join(wanted - known)}; there are: {there}, all")
    return [peer for peer in PEERS if "all" in wanted or peer.name in wanted]


def nats_server() -> str | None:
    """The NATS server's program: an installed one, or Debian's, which make unpacks."""
    where = (os.environ.get("PATH", ""), "/usr/sbin", str(ROOT / "build" / "nats" / "usr" / "sbin"))
    return shutil.which("nats-server", path=os.pathsep.join(where))

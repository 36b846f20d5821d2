"""Setting up the processes of one measurement, and taking it.

Lives here: which processes serve in which stack, on which CPUs, at which address. Every
measurement has fresh processes, so that nothing carries over from one to the next.
Imports `children`, `contest` and `row`.
"""

import os
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.children import Household
from bench.contest import Peer
from bench.row import OURS, Row

START_LIMIT = 20.0
MEASURE_LIMIT = 40.0


Roles = list[tuple[str, str, Sequence[int], str]]  # role, part played, CPUs, name of a worker


@dataclass(frozen=True)
class Side:
    """One of those that are compared."""

    name: str  # OURS, BEFORE, or the name of a peer
    python: str  # the interpreter that has what this side is made of
    peer: Peer | None = None

    def joins(self, row: Row) -> bool:
        """Whether it is measured in that row."""
        if self.peer:
            return self.peer.joins(row)
        return self.name == OURS or row.before


@dataclass(frozen=True)
class Seats:
    """The CPUs that each role may use; empty means any."""

    caller: Sequence[int] = ()
    server: Sequence[int] = ()
    worker: Sequence[int] = ()


UNPINNED, PINNED = "unpinned", "pinned"


def seats() -> dict[str, Seats]:
    """Where processes may run: anywhere, and where the system can do that, pinned.

    Pinned, the caller has one CPU and the server another; workers get a third if there is one.
    """
    places = {UNPINNED: Seats()}
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cpus) > 1:
        places[PINNED] = Seats(cpus[:1], cpus[1:2], cpus[2:3] or cpus[1:2])
    return places


@dataclass(frozen=True)
class Setting:
    """What is the same for every measurement of a run of the bench."""

    seconds: float
    uvloop: bool = False
    tiny: bool = False  # see only that everything runs


def measure(row: Row, side: Side, setting: Setting, where: Seats) -> dict[str, Any]:
    """Take one figure: `value`, `version`, `python`, and `cpu`, microseconds by role.

    Raises `ChildFailed` with the reason; by then all processes of the measurement have ended.
    """
    with tempfile.TemporaryDirectory(prefix="daffi-bench-") as folder, Household() as house:
        address, listen = _addresses(row.stack, Path(folder))
        pids: dict[str, list[int]] = {}
        order: dict[str, Any] = {
            **row.options,
            **(row.tiny if setting.tiny else {}),
            "seconds": setting.seconds,
            "uvloop": setting.uvloop,
            "address": address,
            "listen": listen,
            "workers": [],
            "pids": pids,
        }
        scenario, serving = row.scenario, _serving(row.stack, where)
        if side.peer:
            order |= {"peer": side.peer.name, "routed": "router" in row.stack}
            order["behind"] = {**address, "port": free_port()}  # where a broker meets workers
            scenario = f"bench.peers.calling:{side.peer.rows[row.name]}"
            serving = _peers_serving(order["routed"], where)
        for role, part, cpus, name in serving:
            child = house.start(side.python, role, {**order, "cpus": list(cpus), "name": name})
            facts = child.hear(START_LIMIT)
            order["workers"] += facts.get("names", [])
            pids.setdefault(part, []).extend([child.process.pid, *facts.get("pids", [])])
        caller = house.start(side.python, scenario, {**order, "cpus": list(where.caller)})
        return caller.hear(MEASURE_LIMIT + 10 * setting.seconds)


def _serving(stack: str, where: Seats) -> Roles:
    """The processes of a stack in the order of their start."""
    if stack == "nobody":
        return []
    if stack == "aio_floor":
        return [("bench.aio.floor:server", "server", where.server, "")]
    if stack.startswith("floor"):
        return [("bench.floor:server", "server", where.server, "")]
    serving = "bench.aio.serving" if stack.startswith("aio_") else "bench.serving"
    stack = stack.removeprefix("aio_")
    if stack.startswith("router"):
        count = int(stack.removeprefix("router"))
        return [
            ("bench.serving:router", "router", where.server, ""),
            *(
                (f"{serving}:worker", "worker", where.worker, f"worker-{number}")
                for number in range(count)
            ),
        ]
    return [(f"{serving}:service", "server", where.server, "")]


def _peers_serving(routed: bool, where: Seats) -> Roles:
    if routed:
        return [
            ("bench.peers.calling:broker", "router", where.server, ""),
            ("bench.peers.calling:serve", "worker", where.worker, ""),
        ]
    return [("bench.peers.calling:serve", "server", where.server, "")]


def _addresses(stack: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What clients pass, and what the server does."""
    if stack.endswith("unix"):
        address: dict[str, Any] = {"unix_sock_path": str(folder / "s")}
        return address, address
    address = {"host": "127.0.0.1", "port": free_port()}
    if stack != "tls":
        return address, address
    import trustme

    ca = trustme.CA()
    cert = ca.issue_cert("127.0.0.1")
    paths = {name: str(folder / f"{name}.pem") for name in ("ca_file", "cert_file", "key_file")}
    ca.cert_pem.write_to_path(paths["ca_file"])
    cert.cert_chain_pems[0].write_to_path(paths["cert_file"])
    cert.private_key_pem.write_to_path(paths["key_file"])
    client = {**address, "tls": True, "ca_file": paths.pop("ca_file")}
    return client, {**address, "tls": True, **paths}


def free_port() -> int:
    """A port that nobody listens on: 3.0.1 can't tell which one the system gave it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""Setting up the processes of one measurement, and taking it.

Lives here: which processes serve in which stack, on which CPUs, at which address. Every
measurement has fresh processes, so that nothing carries over from one to the next.
Imports `children` and `rows`.
"""

import os
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.children import Household
from bench.rows import Row

START_LIMIT = 20.0
MEASURE_LIMIT = 40.0


@dataclass(frozen=True)
class Side:
    """One of the two that are compared."""

    name: str  # "ours" or "peer"
    python: str  # the interpreter that has this side's daffi


@dataclass(frozen=True)
class Seats:
    """The CPUs that each role may use; empty means any."""

    caller: Sequence[int] = ()
    server: Sequence[int] = ()
    worker: Sequence[int] = ()


def seats(pinned: bool) -> Seats:
    """One CPU for the caller and one for the server; workers get a third if there is one."""
    if not pinned:
        return Seats()
    if not hasattr(os, "sched_getaffinity"):
        raise ValueError("this system can't pin processes to CPUs")
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise ValueError("pinning needs two CPUs that this process may use")
    return Seats(cpus[:1], cpus[1:2], cpus[2:3] or cpus[1:2])


def measure(
    row: Row, side: Side, seconds: float, where: Seats, uvloop: bool = False
) -> dict[str, Any]:
    """Take one figure: `value`, and for daffi `version` and `python`.

    Raises `ChildFailed` with the reason; by then all processes of the measurement have ended.
    """
    with tempfile.TemporaryDirectory(prefix="daffi-bench-") as folder, Household() as house:
        address, listen = _addresses(row.stack, Path(folder))
        order: dict[str, Any] = {
            **row.options,
            "seconds": seconds,
            "uvloop": uvloop,
            "address": address,
            "listen": listen,
            "workers": [],
        }
        for role, cpus, name in _serving(row.stack, where):
            child = house.start(side.python, role, {**order, "cpus": list(cpus), "name": name})
            child.hear(START_LIMIT)
            if name:
                order["workers"].append(name)
        caller = house.start(side.python, row.scenario, {**order, "cpus": list(where.caller)})
        return caller.hear(MEASURE_LIMIT + 10 * seconds)


def _serving(stack: str, where: Seats) -> list[tuple[str, Sequence[int], str]]:
    """The processes of a stack in the order of their start: role, CPUs, name of a worker."""
    if stack == "nobody":
        return []
    if stack.startswith("floor"):
        return [("bench.floor:server", where.server, "")]
    serving = "bench.aio.serving" if stack.startswith("aio_") else "bench.serving"
    stack = stack.removeprefix("aio_")
    if stack.startswith("router"):
        count = int(stack.removeprefix("router"))
        workers = [(f"{serving}:worker", where.worker, f"worker-{n}") for n in range(count)]
        return [("bench.serving:router", where.server, ""), *workers]
    return [(f"{serving}:service", where.server, "")]


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

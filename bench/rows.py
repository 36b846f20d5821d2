"""The rows of the table: which scenario, over which processes, and what must come out.

Lives here: data. No measuring, no processes. Imports nothing of ours.
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

KIB = 1 << 10
MIB = 1 << 20


@dataclass(frozen=True)
class Row:
    """One scenario as the table shows it."""

    name: str
    title: str
    unit: str
    scenario: str  # module:function of the child that measures
    stack: str = "service"  # which processes serve, see bench.stage
    options: dict[str, Any] = field(default_factory=dict)
    must: float | None = None  # least ratio to 3.0.1, or to `than`; 2 is twice as good
    than: str | None = None  # compare with another row of ours instead of with 3.0.1
    limit: float | None = None  # the figure itself must not be above
    less: bool = False  # a smaller figure is the better one
    peer: bool = True  # daffi 3.0.1 can do it
    part: str = "blocking"  # which table it stands in: blocking, asyncio or floor


def _call(name: str, title: str, scenario: str, **rest: Any) -> Row:
    return Row(name, title, rest.pop("unit", "calls/s"), f"bench.calling:{scenario}", **rest)


def _floor(name: str, title: str, unit: str, scenario: str, stack: str, size: int) -> Row:
    role = f"bench.floor:{scenario}"
    return Row(name, title, unit, role, stack, {"size": size}, peer=False, part="floor")


def _echo(name: str, title: str, size: int, must: float, stack: str = "service") -> Row:
    options = {"size": size}
    return _call(name, title, "echo", unit="GiB/s", stack=stack, options=options, must=must)


def _record(serde: str, must: float) -> Row:
    name = f"record_{serde.lower()}"
    return _call(name, f"2 KB record, {serde}", "record", options={"serde": serde}, must=must)


def _arrive(name: str, title: str, must: float, size: int, burst: int) -> Row:
    options = {"size": size, "burst": burst}
    return _call(name, title, name, unit="items/s", options=options, must=must)


def _aio(name: str, title: str, scenario: str, flying: int = 1, **rest: Any) -> Row:
    options = {"flying": flying, **rest.pop("options", {})}
    role = f"bench.aio.calling:{scenario}"
    stack, unit = rest.pop("stack", "aio_service"), rest.pop("unit", "calls/s")
    return Row(name, title, unit, role, stack, options, part="asyncio", **rest)


def _held(name: str, title: str, connections: int, own_time: bool) -> Row:
    options = {"connections": connections, "own_time": own_time}
    limit = 2 if own_time else None
    return _aio(
        name, title, "hold", 200, unit="ms", options=options, limit=limit, less=True, peer=False
    )


THREADS = {"threads": 16}
CROWD = {"connections": 200}

ROWS: tuple[Row, ...] = (
    _call("add", "small call, one after another", "add", must=1.4),
    _record("OPAQUE", 1.4),
    _record("PICKLE", 1.3),
    _record("JSON", 1.4),
    _record("MSGPACK", 1.4),
    _call("add_unix", "small call, Unix socket", "add", stack="unix", peer=False),
    _call(
        "add_tls",
        "small call, TLS",
        "add",
        stack="tls",
        must=0.85,
        than="add",
        peer=False,
    ),
    _call(
        "add_node",
        "small call, Node, WebSocket",
        "add_node",
        must=0.5,
        than="add",
        peer=False,
    ),
    _call("add_routed", "small call through the Router", "add", stack="router1", must=1.2),
    _call("threads", "16 threads, one connection", "add_threads", options=THREADS, must=8),
    _call(
        "threads_routed",
        "16 threads, one connection, routed",
        "add_threads",
        stack="router1",
        options=THREADS,
        must=6,
    ),
    _echo("echo_64k", "echo OPAQUE 64 KiB", 64 * KIB, 2),
    _echo("echo_1m", "echo OPAQUE 1 MiB", MIB, 4),
    _echo("echo_16m", "echo OPAQUE 16 MiB", 16 * MIB, 6),
    _call(
        "echo_16m_tls",
        "echo OPAQUE 16 MiB, TLS",
        "echo",
        unit="GiB/s",
        stack="tls",
        options={"size": 16 * MIB},
        must=0.5,
        than="echo_16m",
        peer=False,
    ),
    _echo("echo_16m_routed", "echo OPAQUE 16 MiB, routed", 16 * MIB, 4, "router1"),
    _call(
        "array_16m",
        "echo NumPy array 16 MiB, PICKLE",
        "array",
        unit="GiB/s",
        options={"size": 16 * MIB},
        must=0.67,
        than="echo_16m",
    ),
    _arrive("stream", "stream, 4 KiB chunks", 1.3, 4 * KIB, 500),
    _arrive("stream_nowait", "stream_nowait, 4 KiB chunks", 2, 4 * KIB, 5000),
    _arrive("rpc_nowait", "rpc_nowait", 2, 0, 5000),
    _call("cast_4", "cast to 4 workers", "cast", unit="casts/s", stack="router4", must=1.5),
    _call(
        "idle_memory",
        "server memory per idle connection",
        "idle_memory",
        unit="KiB",
        options={"connections": 300},
        must=2,
        less=True,
    ),
    _call("connect", "connect, handshake included", "connect", unit="us", must=0.8, less=True),
    _call("connect_close", "connect and close", "connect_close", unit="us", less=True),
    _call(
        "import",
        "import daffi",
        "import_time",
        unit="ms",
        stack="nobody",
        limit=40,
        less=True,
    ),
    _aio("aio_add", "one after another", "add", must=1.2),
    _aio("aio_200", "200 in flight, one connection", "add", 200, must=4),
    _aio("aio_200_conns", "200 in flight, 200 connections", "add", 200, options=CROWD, must=2),
    _aio(
        "aio_200_routed",
        "200 in flight, one connection, routed",
        "add",
        200,
        stack="aio_router1",
        must=3,
    ),
    _aio(
        "aio_200_conns_routed",
        "200 in flight, 200 connections, routed",
        "add",
        200,
        stack="aio_router1",
        options=CROWD,
        must=2,
    ),
    _aio("aio_p99", "p99 with 64 in flight", "p99", 64, unit="ms", must=2, less=True),
    _aio(
        "aio_10k",
        "10,000 at once, until all are answered",
        "at_once",
        unit="s",
        options={"calls": 10_000},
        limit=1,
        less=True,
    ),
    _held("aio_held", "longest hold of the loop, 200 in flight", 1, True),
    _held("aio_held_conns", "the same, 200 connections", 200, True),
    _held("aio_held_clock", "the same by the clock, one connection", 1, False),
    _floor("floor_tcp", "64 bytes, TCP", "trips/s", "ping", "floor_tcp", 64),
    _floor("floor_unix", "64 bytes, Unix", "trips/s", "ping", "floor_unix", 64),
    _floor("floor_tcp_64k", "64 KiB, TCP", "GiB/s", "echo", "floor_tcp", 64 * KIB),
    _floor("floor_tcp_1m", "1 MiB, TCP", "GiB/s", "echo", "floor_tcp", MIB),
    _floor("floor_tcp_16m", "16 MiB, TCP", "GiB/s", "echo", "floor_tcp", 16 * MIB),
    _floor("floor_unix_64k", "64 KiB, Unix", "GiB/s", "echo", "floor_unix", 64 * KIB),
    _floor("floor_unix_1m", "1 MiB, Unix", "GiB/s", "echo", "floor_unix", MIB),
    _floor("floor_unix_16m", "16 MiB, Unix", "GiB/s", "echo", "floor_unix", 16 * MIB),
)


def choose(only: str | None) -> list[Row]:
    """The rows whose names match one of the comma-separated patterns; all for `None`.

    A pattern is a name, or a shell pattern like `echo_*`. A pattern that matches nothing is a
    `ValueError` that lists the names.
    """
    if not only:
        return list(ROWS)
    patterns = [pattern.strip() for pattern in only.split(",") if pattern.strip()]
    for pattern in patterns:
        if not any(fnmatchcase(row.name, pattern) for row in ROWS):
            names = ", ".join(row.name for row in ROWS)
            raise ValueError(f"no scenario is called {pattern!r}; there are: {names}")
    return [row for row in ROWS if any(fnmatchcase(row.name, each) for each in patterns)]

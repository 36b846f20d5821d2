"""The rows of the table: which scenario, over which processes, and what must come out.

Lives here: data. No measuring, no processes. Imports `row`.
"""

from typing import Any

from bench.row import Bar, Row

KIB = 1 << 10
MIB = 1 << 20

THREADS = {"threads": 16}
CROWD = {"connections": 200}


def _times(times: float, *others: str) -> tuple[Bar, ...]:
    """So many times as good as 3.0.1, and as good as each of the others."""
    return (Bar(times), *(Bar(1, other) for other in others))


def _most(figure: float) -> tuple[Bar, ...]:
    return (Bar(figure, None),)


def _call(name: str, title: str, scenario: str, **rest: Any) -> Row:
    return Row(name, title, rest.pop("unit", "calls/s"), f"bench.calling:{scenario}", **rest)


def _floor(name: str, title: str, unit: str, scenario: str, stack: str, size: int) -> Row:
    module = "bench.aio.floor" if stack.startswith("aio_") else "bench.floor"
    role = f"{module}:{scenario}"
    return Row(name, title, unit, role, stack, {"size": size}, before=False, part="floor")


def _echo(size: str, much: int, must: float, **rest: Any) -> Row:
    name, title = f"echo_{size[:-2].replace(' ', '').lower()}", f"echo OPAQUE {size}"
    bars = _times(must, f"floor_tcp_{name.removeprefix('echo_')}")
    return _call(name, title, "echo", unit="GiB/s", options={"size": much}, must=bars, **rest)


def _record(serde: str, must: tuple[Bar, ...], aim: tuple[Bar, ...]) -> Row:
    name = f"record_{serde.lower()}"
    options = {"serde": serde}
    return _call(name, f"2 KB record, {serde}", "record", options=options, must=must, aim=aim)


def _arrive(name: str, title: str, must: float, aim: float, size: int, burst: int) -> Row:
    return _call(
        name,
        title,
        name,
        unit="items/s",
        options={"size": size, "burst": burst},
        must=_times(must),
        aim=_times(aim),
        tiny={"burst": 50},
    )


def _aio(name: str, title: str, scenario: str, flying: int = 1, **rest: Any) -> Row:
    module = rest.pop("module", "calling")
    options = {"flying": flying, **rest.pop("options", {})}
    stack, unit = rest.pop("stack", "aio_service"), rest.pop("unit", "calls/s")
    part = rest.pop("part", "asyncio")
    role = f"bench.aio.{module}:{scenario}"
    return Row(name, title, unit, role, stack, options, part=part, **rest)


def _held(name: str, title: str, connections: int, own_time: bool) -> Row:
    return _aio(
        name,
        title,
        "hold",
        200,
        unit="ms",
        options={"connections": connections, "own_time": own_time},
        must=_most(2) if own_time else (),
        less=True,
        before=False,
    )


def _bulk(name: str, title: str, way: str) -> Row:
    return _aio(
        name,
        title,
        "bulk",
        64,
        unit="times alone",
        module="fairness",
        options={"size": 256 * MIB, "way": way},
        must=_most(3),
        less=True,
        before=False,
        part="fairness",
        tiny={"size": MIB},
    )


SMALL = {"must": _times(2.2, "pyzmq"), "aim": _times(5, "floor_tcp")}

ROWS: tuple[Row, ...] = (
    _call("add", "small call, one after another", "add", **SMALL),
    _record("OPAQUE", _times(2.2), _times(5, "floor_tcp")),
    _record("PICKLE", **SMALL),
    _record("JSON", _times(2.5), _times(5)),
    _record("MSGPACK", _times(2.5), _times(5)),
    _call("add_unix", "small call, Unix socket", "add", stack="unix", before=False),
    _call(
        "add_tls",
        "small call, TLS",
        "add",
        stack="tls",
        must=(Bar(0.85, "add"),),
        before=False,
    ),
    _call(
        "add_node",
        "small call, Node, WebSocket",
        "add_node",
        must=(Bar(0.5, "add"),),
        before=False,
    ),
    _call(
        "add_routed",
        "small call, routed",
        "add",
        stack="router1",
        must=_times(1.8, "nats"),
        aim=_times(3),
    ),
    _call(
        "record_routed",
        "2 KB record, PICKLE, routed",
        "record",
        stack="router1",
        options={"serde": "PICKLE"},
        must=_times(1.8),
        aim=_times(3),
    ),
    _call(
        "threads",
        "16 threads, one connection",
        "add_threads",
        options=THREADS,
        must=_times(8),
        aim=_times(20),
    ),
    _call(
        "threads_routed",
        "16 threads, one connection, routed",
        "add_threads",
        stack="router1",
        options=THREADS,
        must=_times(8),
        aim=_times(20),
    ),
    _echo("64 KiB", 64 * KIB, 3),
    _echo("1 MiB", MIB, 6, aim=(Bar(1.1, "floor_tcp_1m"),)),
    _echo("16 MiB", 16 * MIB, 6, aim=(Bar(1.1, "floor_tcp_16m"),)),
    _call(
        "echo_16m_tls",
        "echo OPAQUE 16 MiB, TLS",
        "echo",
        unit="GiB/s",
        stack="tls",
        options={"size": 16 * MIB},
        must=(Bar(0.5, "echo_16m"),),
        before=False,
    ),
    _call(
        "echo_16m_routed",
        "echo OPAQUE 16 MiB, routed",
        "echo",
        unit="GiB/s",
        stack="router1",
        options={"size": 16 * MIB},
        must=_times(5),
        aim=_times(8),
    ),
    _call(
        "array_16m",
        "echo NumPy array 16 MiB, PICKLE",
        "array",
        unit="GiB/s",
        options={"size": 16 * MIB},
        must=(Bar(0.67, "echo_16m"),),
        aim=(Bar(1, "echo_16m"),),
    ),
    _arrive("stream", "stream, 4 KiB chunks", 2, 4, 4 * KIB, 500),
    _arrive("stream_nowait", "stream_nowait, 4 KiB chunks", 4, 10, 4 * KIB, 5000),
    _arrive("rpc_nowait", "rpc_nowait", 4, 10, 0, 5000),
    _call(
        "cast_4",
        "cast to 4 workers",
        "cast",
        unit="casts/s",
        stack="router4",
        must=_times(2),
        aim=_times(4),
    ),
    _call(
        "idle_memory",
        "server memory, idle connection",
        "idle_memory",
        unit="KiB",
        options={"connections": 300},
        must=_most(40),
        aim=_most(16),
        less=True,
        placed=False,
        tiny={"connections": 20},
    ),
    _call(
        "connect",
        "connect, handshake included",
        "connect",
        unit="us",
        must=_times(1),
        aim=_times(2),
        less=True,
    ),
    _call("connect_close", "connect and close", "connect_close", unit="us", less=True),
    _call(
        "import",
        "import daffi",
        "import_time",
        unit="ms",
        stack="nobody",
        must=_most(40),
        aim=_most(25),
        less=True,
        placed=False,
    ),
    _aio(
        "aio_add",
        "one after another",
        "add",
        must=_times(1.3),
        aim=_times(1.7, "floor_aio"),
    ),
    _aio("aio_200", "200 in flight, one connection", "add", 200, must=_times(4), aim=_times(7)),
    _aio(
        "aio_200_conns",
        "200 in flight, 200 connections",
        "add",
        200,
        options=CROWD,
        must=_times(2.5),
        aim=_times(4.5),
    ),
    _aio(
        "aio_200_routed",
        "200 in flight, one connection, routed",
        "add",
        200,
        stack="aio_router1",
        must=_times(3, "nats"),
        aim=(Bar(6), Bar(2, "nats")),
    ),
    _aio(
        "aio_200_conns_routed",
        "200 in flight, 200 connections, routed",
        "add",
        200,
        stack="aio_router1",
        options=CROWD,
        must=_times(3),
        aim=_times(6),
    ),
    _aio(
        "aio_p99",
        "p99 with 64 in flight",
        "p99",
        64,
        unit="ms",
        must=_times(4),
        aim=_times(10),
        less=True,
    ),
    _aio(
        "aio_10k",
        "10,000 at once, until all are answered",
        "at_once",
        unit="s",
        options={"calls": 10_000},
        must=_most(1),
        less=True,
        tiny={"calls": 500},
    ),
    _held("aio_held", "longest hold of the loop, 200 in flight", 1, True),
    _held("aio_held_conns", "the same, 200 connections", 200, True),
    _held("aio_held_clock", "the same by the clock, one connection", 1, False),
    _bulk("fair_sent", "p99 of 64 small calls beside 256 MiB sent", "there"),
    _bulk("fair_received", "the same beside 256 MiB received", "back"),
    _aio(
        "fair_quiet",
        "p99 of one call, beside 200 of another",
        "quiet",
        200,
        unit="of theirs",
        module="fairness",
        must=_most(1),
        less=True,
        before=False,
        placed=False,  # three processes: two of them on one CPU would wait for each other
        part="fairness",
    ),
    _aio(
        "idle_cpu",
        "server with 1,000 idle connections",
        "idle",
        unit="% of a CPU",
        module="scaling",
        options={"connections": 1000, "watch": 6.0},
        must=_most(1),
        less=True,
        before=False,
        placed=False,
        part="fairness",
        tiny={"connections": 10, "watch": 0.1},
    ),
    _floor("floor_tcp", "64 bytes, TCP", "trips/s", "ping", "floor_tcp", 64),
    _floor("floor_unix", "64 bytes, Unix", "trips/s", "ping", "floor_unix", 64),
    _floor("floor_aio", "64 bytes, asyncio streams", "trips/s", "ping", "aio_floor", 64),
    _floor("floor_tcp_64k", "64 KiB, TCP", "GiB/s", "echo", "floor_tcp", 64 * KIB),
    _floor("floor_tcp_1m", "1 MiB, TCP", "GiB/s", "echo", "floor_tcp", MIB),
    _floor("floor_tcp_16m", "16 MiB, TCP", "GiB/s", "echo", "floor_tcp", 16 * MIB),
    _floor("floor_unix_64k", "64 KiB, Unix", "GiB/s", "echo", "floor_unix", 64 * KIB),
    _floor("floor_unix_1m", "1 MiB, Unix", "GiB/s", "echo", "floor_unix", MIB),
    _floor("floor_unix_16m", "16 MiB, Unix", "GiB/s", "echo", "floor_unix", 16 * MIB),
)

PARTS = {
    "blocking": "blocking calls",
    "asyncio": "asyncio",
    "fairness": "fairness, and doing nothing",
    "floor": "the floor: plain sockets, echo",
}

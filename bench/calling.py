"""The scenarios: what a caller does, one function each.

Lives here: the measured code, the same source for both versions of daffi. Each function
gets its order, and says one `value` in the unit of its row. Options are named at every call,
as most programs do. Imports `nodes`, `pace`, `payloads` and
`talk`; never `callbacks`.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import daffi
from bench import nodes, pace, talk
from bench.payloads import RECORD
from daffi import Client, SerdeFormat

Order = dict[str, Any]


def _say(value: float, run: pace.Run | None = None) -> None:
    talk.figure(value, f"daffi {daffi.__version__}", run.cpu if run else None)


def _say_rate(run: pace.Run) -> None:
    _say(run.rate, run)


def _say_bytes(run: pace.Run, size: int) -> None:
    _say(pace.gibibytes(run, size), run)


def add(order: Order) -> None:
    """Small calls, one after another, per second."""
    with nodes.connection(order) as conn:
        _say_rate(pace.repeat(lambda: conn.rpc(timeout=30).add(1, 2), order))


def add_node(order: Order) -> None:
    """The same from Node over WebSocket."""
    address = order["address"]
    url = f"ws://{address['host']}:{address['port']}"
    node = ["node", str(Path(__file__).with_suffix(".js")), url, str(order["seconds"])]
    try:
        said = subprocess.run(node, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise RuntimeError("this row takes Node 20.19 or later") from None
    if said.returncode:
        raise RuntimeError(said.stderr[-500:])
    _say(float(said.stdout))


def add_threads(order: Order) -> None:
    """Small calls from several threads on one connection, per second."""
    with nodes.connection(order) as conn:

        def work() -> None:
            conn.rpc(timeout=30).add(1, 2)

        _say_rate(pace.repeat_threads(work, order))


def record(order: Order) -> None:
    """A record of about 2 KB there and back in one format, per second."""
    serde = getattr(SerdeFormat, order["serde"])
    value = bytes(2048) if order["serde"] == "OPAQUE" else RECORD
    with nodes.connection(order) as conn:
        if conn.rpc(timeout=30, serde=serde).echo(value) != value:
            raise AssertionError("the record came back changed")
        _say_rate(pace.repeat(lambda: conn.rpc(timeout=30, serde=serde).echo(value), order))


def echo(order: Order) -> None:
    """OPAQUE bytes there and back, GiB/s both ways together."""
    _say_bytes(_echo(order), order["size"])


def echo_time(order: Order) -> None:
    """The same, as microseconds for each call."""
    run = _echo(order)
    _say(1e6 / run.rate, run)


def _echo(order: Order) -> pace.Run:
    value = bytes(order["size"])
    with nodes.connection(order) as conn:

        def work() -> None:
            answer = conn.rpc(timeout=30, serde=SerdeFormat.OPAQUE).echo(value)
            if len(answer) != len(value):
                raise AssertionError(f"{len(answer)} bytes came back")

        return pace.repeat(work, order)


def array(order: Order) -> None:
    """A NumPy array there and back by PICKLE, GiB/s both ways together."""
    import numpy

    value = numpy.zeros(order["size"] // 8, dtype=numpy.float64)
    with nodes.connection(order) as conn:

        def work() -> None:
            if conn.rpc(timeout=30).echo(value).shape != value.shape:
                raise AssertionError("another array came back")

        _say_bytes(pace.repeat(work, order), order["size"])


def stream(order: Order) -> None:
    """Chunks of a stream, each acknowledged, per second."""
    with nodes.connection(order) as conn:
        _arrivals(order, conn, lambda chunks: conn.stream(timeout=30).take(chunks))


def stream_nowait(order: Order) -> None:
    """Chunks of a stream without acknowledgements, per second, until the last has arrived."""
    with nodes.connection(order) as conn:
        _arrivals(order, conn, lambda chunks: conn.stream_nowait().take(chunks))


def rpc_nowait(order: Order) -> None:
    """Calls that nobody waits for, per second, until the last has arrived."""
    with nodes.connection(order) as conn:

        def send(chunks: Iterator[bytes]) -> None:
            for _ in chunks:
                conn.rpc_nowait().take(1)

        _arrivals(order, conn, send)


def _arrivals(order: Order, conn: Any, send: Callable[[Iterator[bytes]], object]) -> None:
    chunk = bytes(order["size"])
    sent = 0

    def burst(count: int) -> None:
        nonlocal sent
        send(chunk for _ in range(count))
        sent += count
        limit = time.perf_counter() + 15
        while (arrived := conn.rpc(timeout=30).taken()) != sent:
            if time.perf_counter() > limit:
                raise AssertionError(f"{arrived} of {sent} arrived")
            time.sleep(0.0005)

    _say_rate(pace.bursts(burst, order))


def cast(order: Order) -> None:
    """Casts to all workers, per second."""
    with nodes.connection(order) as conn:

        def work() -> None:
            if len(conn.cast(timeout=30).add(1, 2)) != len(order["workers"]):
                raise AssertionError("a worker is missing in the answer")

        _say_rate(pace.repeat(work, order))


def idle_memory(order: Order) -> None:
    """Growth of the server's resident memory for each idle connection, in KiB."""
    with nodes.connection(order) as conn:
        crowd = [_idle(order, number) for number in range(order["connections"] // 10)]
        before = conn.rpc(timeout=30).resident()
        counted = [_idle(order, len(crowd) + number) for number in range(order["connections"])]
        growth = conn.rpc(timeout=30).resident() - before
        _say(growth / len(counted) / 1024)


def _idle(order: Order, number: int) -> Client:
    client = Client(f"idle-{number}", **order["address"])
    client.connect()
    return client


def connect(order: Order) -> None:
    """Microseconds until a new Client is connected, handshake included: the median."""
    _say(median(taken for taken, _ in _connections(order)))


def connect_close(order: Order) -> None:
    """Microseconds to connect and to close again: the median."""
    _say(median(taken for _, taken in _connections(order)))


def _connections(order: Order) -> list[tuple[float, float]]:
    times: list[tuple[float, float]] = []
    clock = time.perf_counter
    end = clock() + order["seconds"]
    while clock() < end or len(times) < 3:
        start = clock()
        client = Client(f"caller-{len(times)}", **order["address"])
        client.connect()
        connected = clock()
        client.stop()
        times.append(((connected - start) * 1e6, (clock() - start) * 1e6))
    return times


def import_time(order: Order) -> None:
    """Milliseconds of `import daffi` in a fresh interpreter: the median."""
    code = (
        "import sys; sys.path[0:1] = []; sys.path.append(sys.argv[1]); import time;"
        "start = time.perf_counter(); import daffi; print(time.perf_counter() - start)"
    )
    root = str(Path(__file__).resolve().parent.parent)
    times: list[float] = []
    end = time.perf_counter() + order["seconds"]
    while time.perf_counter() < end or len(times) < 3:
        ran = subprocess.run(
            [sys.executable, "-c", code, root],
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=30,
        )
        times.append(float(ran.stdout) * 1e3)
    _say(median(times))

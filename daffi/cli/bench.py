"""`daffi bench`: what a network that is up gives, from here.

A Router gets a worker of our own for the time, in a process of its own. The measuring of daffi
itself, beside others, is `bench/` of the source. Imports `arguments`, `options` and `screen`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import click

from daffi import Client, callback
from daffi.aio import AsyncClient
from daffi.cli import arguments, options, screen
from daffi.sync import ClientConnection

_LARGE = 1 << 20  # bytes


@click.command(
    epilog="""\b
Examples:
  daffi bench tcp://127.0.0.1:7700
  daffi bench --call 'add 3 4' --seconds 5
"""
)
@options.client(argument=True)
@click.option(
    "--call",
    "called",
    metavar="'FUNCTION ARGS'",
    help="What to call, as with daffi call; of a Service one must be named. Without it a Router"
    " gets a worker from here, whose function gives back what it is given.",
)
@click.option(
    "--seconds",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    help="For each row.",
)
@click.option(
    "--concurrency",
    metavar="N",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Calls in flight in the rows that are about many.",
)
@options.as_json
def bench(
    client: dict[str, Any], called: str | None, seconds: float, concurrency: int, as_json: bool
) -> None:
    """Measure calls to a server that is up.

    How long one takes, and how many there can be. It calls in earnest: other work on the same
    machines makes it slower, and the other way round.
    """
    rows: list[dict[str, Any]] = []

    def note(what: str, times: list[float], took: float, size: int = 0) -> None:
        rows.append({"what": what, **_figures(times, took, size)})
        if not as_json:
            screen.tell(f"measured: {what}")

    node = Client(**client, reconnect=False)
    with node as conn, contextlib.ExitStack() as stack:
        server = str(node.server_name())
        receiver = None
        if called is not None:
            function, given = arguments.split(called)
        elif server in (member.name for member in conn.members()):
            raise click.ClickException(
                f"{server} is a Service, which runs its own functions only: name one,"
                " --call 'FUNCTION ARGS'"
            )
        else:
            receiver = stack.enter_context(_worker(client, conn))
            function, given = daffi_bench_echo.__name__, arguments.Arguments([1], {})
        note("the server's answer", *_one_by_one(lambda: conn.wait_for_members(server), seconds))
        remote = getattr(conn.rpc(receiver=receiver, serde="json"), function)
        call = functools.partial(remote, *given.args, **given.kwargs)
        note(f"{function}, one by one", *_one_by_one(call, seconds))
        many = asyncio.run(_at_once(client, receiver, function, given, seconds, concurrency))
        note(f"{function}, {concurrency} in flight", *many)
        if receiver is not None:
            remote = getattr(conn.rpc(receiver=receiver, serde="opaque"), function)
            large = functools.partial(remote, bytes(_LARGE))
            note("1 MiB there and back", *_one_by_one(large, seconds), 2 * _LARGE)
    if as_json:
        screen.show_json({"server": server, "rows": rows})
    else:
        _show(rows)


def _one_by_one(call: Callable[[], object], seconds: float) -> tuple[list[float], float]:
    """How long each took, and all of them."""
    times = []
    call()
    began = now = time.perf_counter()
    while now - began < seconds:
        before = now
        call()
        now = time.perf_counter()
        times.append(now - before)
    return times, now - began


async def _at_once(
    client: dict[str, Any],
    receiver: str | None,
    function: str,
    given: arguments.Arguments,
    seconds: float,
    concurrency: int,
) -> tuple[list[float], float]:
    """The same of so many at once, over one connection."""
    times: list[float] = []
    name = f"{client['app_name']}-many"
    async with AsyncClient(**{**client, "app_name": name}, reconnect=False) as conn:
        call = getattr(conn.rpc(receiver=receiver, serde="json"), function)
        began = time.perf_counter()

        async def keep_calling() -> None:
            while (before := time.perf_counter()) - began < seconds:
                await call(*given.args, **given.kwargs)
                times.append(time.perf_counter() - before)

        await asyncio.gather(*(keep_calling() for _ in range(concurrency)))
        return times, time.perf_counter() - began


def _figures(times: list[float], took: float, size: int) -> dict[str, Any]:
    ordered = sorted(times)
    return {
        "bytes_per_second": size * len(times) / took,
        "calls": len(times),
        "per_second": len(times) / took,
        "median": statistics.median(ordered),
        "p99": ordered[int(len(ordered) * 0.99)],
    }


def _show(rows: list[dict[str, Any]]) -> None:
    table = screen.table("", "CALLS/S", "MEDIAN", "99 %", "MB/S")
    for row in rows:
        large = row["bytes_per_second"]
        table.add_row(
            row["what"],
            screen.count(row["per_second"]),
            screen.span(row["median"]),
            screen.span(row["p99"]),
            screen.count(large / 1e6) if large else "",
        )
    screen.console().print(table)


@contextlib.contextmanager
def _worker(client: dict[str, Any], conn: ClientConnection) -> Iterator[str]:
    """A process that works for this Router until we leave; its name."""
    name = f"{client['app_name']}-worker"
    spawned = multiprocessing.get_context("spawn")
    process = spawned.Process(target=_work, args=({**client, "app_name": name},), daemon=True)
    process.start()
    try:
        conn.wait_for_members(name, timeout=30)
        yield name
    finally:
        process.terminate()
        process.join()


def _work(client: dict[str, Any]) -> None:
    callback(daffi_bench_echo)
    node = Client(**client, reconnect=False)
    node.connect()
    node.join()


def daffi_bench_echo(value: Any) -> Any:
    """Give back what came."""
    return value

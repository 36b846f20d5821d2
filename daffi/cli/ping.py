"""`daffi ping`. Imports `options` and `screen`."""

from __future__ import annotations

import statistics
import time
from typing import Any

import click

from daffi import Client
from daffi.cli import options, screen


@click.command(
    epilog="""\b
Examples:
  daffi ping
  daffi ping --count 1 --timeout 2        # for probes: 0 if the server answers
  daffi ping tls://host:7700 --tls-ca ca.pem --token-file secret
"""
)
@options.client(argument=True)
@click.option(
    "--count",
    metavar="N",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="How many answers.",
)
@click.option(
    "--interval",
    metavar="SECONDS",
    type=options.seconds,
    default=0.5,
    show_default=True,
    help="Seconds between them.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=options.seconds,
    default=5.0,
    show_default=True,
    help="Seconds for each.",
)
@options.as_json
def ping(
    client: dict[str, Any], count: int, interval: float, timeout: float, as_json: bool
) -> None:
    """See whether the server answers, and how quickly. It runs no function."""
    node = Client(**client, reconnect=False, connect_timeout=timeout)
    began = time.perf_counter()
    with node as conn:
        connected = time.perf_counter() - began
        server = str(node.server_name())
        if not as_json:
            click.echo(f"{server} took us in after {screen.span(connected)}")
        trips = []
        for number in range(count):
            if number:
                time.sleep(interval)
            began = time.perf_counter()
            conn.wait_for_members(server, timeout=timeout)  # it is there: it answers at once
            trips.append(time.perf_counter() - began)
            if not as_json:
                click.echo(f"answer {number + 1} after {screen.span(trips[-1])}")
    if as_json:
        screen.show_json({"server": server, "connected": connected, "round_trips": trips})
    elif count > 1:
        least, middle, most = (screen.span(f(trips)) for f in (min, statistics.median, max))
        click.echo(f"fastest {least}, median {middle}, slowest {most}")

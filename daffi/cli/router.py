"""`daffi router`. Imports `options`, `serving`."""

from __future__ import annotations

from typing import Any

import click

from daffi import Router
from daffi.cli import options, serving


@click.command(
    epilog="""\b
Examples:
  daffi router
  daffi router --host 0.0.0.0 --token-file secret --tls-cert cert.pem --tls-key key.pem
  daffi router --unix /run/daffi.sock --balance least_pending
"""
)
@options.server
@click.option(
    "--balance",
    type=click.Choice(["round_robin", "least_pending"]),
    default="round_robin",
    show_default=True,
    help="Who of several workers gets a call.",
)
@options.as_json
def router(server: dict[str, Any], balance: str, as_json: bool) -> None:
    """Carry calls between clients and workers.

    It runs no functions. The first Ctrl-C or SIGTERM lets calls finish, the second ends it.
    """
    server.setdefault("app_name", "router")
    with Router(**server, balance=balance) as node:
        said = f"{node.app_name} is a Router at {serving.address(node)}"
        serving.ready(node, said, as_json)
        serving.until_signal(node)

"""`daffi serve`. Imports `options`, `processes`, `serving` and `target`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from daffi import Client, Service
from daffi.cli import options, processes, screen, serving
from daffi.cli.target import Target

_LISTENING = ("host", "port", "url", "unix", "allowed_origin", "allowed_host")


@click.command(
    epilog="""\b
Examples:
  daffi serve functions.py
  daffi serve package.module --port 7800 --workers 4 --reload
  daffi serve math:sqrt
  daffi serve functions.py --router tcp://127.0.0.1:7700 --processes 4
"""
)
@click.argument("target", metavar="TARGET")
@click.option("--router", metavar="URL", help="Join this Router as a worker, instead of listening.")
@options.server
@click.option(
    "--tls-hostname", "hostname", metavar="NAME", help="The name in the Router's certificate."
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="How many functions may run at once, in one process; 1 if not given.",
)
@click.option(
    "--processes",
    "count",
    type=click.IntRange(min=1),
    default=1,
    help="So many workers at a Router, each a process of its own; one that dies is started again.",
)
@click.option(
    "--wait",
    metavar="SECONDS",
    type=options.seconds,
    default=30.0,
    show_default=True,
    help="Seconds for which a Router that is not up yet is tried.",
)
@click.option("--reload", is_flag=True, help="Start again when a Python file changes.")
@click.option(
    "--reload-dir",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    help="The folder to watch, instead of TARGET's; may be repeated.",
)
@options.as_json
def serve(
    target: str,
    router: str | None,
    server: dict[str, Any],
    hostname: str | None,
    workers: int | None,
    count: int,
    wait: float,
    reload: bool,
    reload_dir: tuple[Path, ...],
    as_json: bool,
) -> int | None:
    """Offer the functions of TARGET to others.

    TARGET is a module, a file, or one of them with an object: module:object. A module offers
    what has @callback; a function, a class or an object needs none. It is a server that clients
    connect to, or with --router a worker. The first Ctrl-C or SIGTERM lets calls finish, the
    second ends it.
    """
    source = Target.of(target)
    if count > 1 and router is None:
        raise click.ClickException(
            "several processes can't listen on one address: start a Router (daffi router) and"
            " join it, --router URL --processes N"
        )
    child = processes.number()
    if child is None and (count > 1 or reload or reload_dir):
        watched = (reload_dir or (source.folder,)) if reload or reload_dir else ()
        if router is not None:
            server.setdefault("app_name", f"{source.name}-{options.suffix()}")
        return processes.Supervisor(count, _arguments(server), watched).run()
    if child is not None:
        processes.end_with_parent()
    server["workers"] = workers
    server["expose"] = source.load(screen.verbose())
    if router is None:
        _listen(source, server, child, as_json)
    else:
        _join(source, server, router, hostname, count, child, wait, as_json)
    return None


def _arguments(server: dict[str, Any]) -> list[str]:
    """Our own, with the name that the processes share."""
    own = sys.argv[1:]
    return own if "app_name" not in server else [*own, f"--name={server['app_name']}"]


def _listen(source: Target, server: dict[str, Any], child: int | None, as_json: bool) -> None:
    server.setdefault("app_name", source.name)
    with Service(**server) as node:
        _ready(node, f"{node.app_name} serves at {serving.address(node)}", as_json)
        serving.until_signal(node, quiet=child is not None)


def _join(
    source: Target,
    server: dict[str, Any],
    router: str,
    hostname: str | None,
    count: int,
    child: int | None,
    wait: float,
    as_json: bool,
) -> None:
    said = click.get_current_context().params
    for name in _LISTENING:
        if said[name] not in (None, ()):
            option = f"--{name.replace('_', '-')}"
            raise click.ClickException(f"with --router it does not listen: leave out {option}")
    server.pop("port", None)
    name = server.pop("app_name", None) or f"{source.name}-{options.suffix()}"
    if count > 1:
        name = f"{name}-{child}"
    if hostname is not None:
        server |= {"server_hostname": hostname, "tls": True}
    node = Client(name, url=router, **server)
    try:
        node.connect(wait=wait)
        _ready(node, f"{name} works for {node.server_name()} at {serving.address(node)}", as_json)
        serving.until_signal(node, quiet=child is not None)
    finally:
        node.stop()


def _ready(node: Service | Client, said: str, as_json: bool) -> None:
    offered = sorted(
        str(function)
        for member in node.members()
        if member.name == node.app_name
        for function in member.functions
    )
    most = 5
    more = f" and {len(offered) - most} more" if len(offered) > most else ""
    shown = ", ".join(offered[:most]) + more
    serving.ready(node, f"{said}: {shown}", as_json, functions=offered)
    if not screen.at_terminal():
        sys.stdout.flush()

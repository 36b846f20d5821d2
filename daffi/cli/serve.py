"""`daffi serve`. Imports `endings`, `options`, `processes`, `screen`, `serving` and `target`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from daffi import Client, Service
from daffi.cli import endings, options, processes, screen, serving
from daffi.cli.target import Target

_SHOWN = 5  # names of functions
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
@click.option(
    "--router",
    metavar="URL",
    help="Join this Router as a worker, instead of listening. --tls-ca is then the CA of its"
    " certificate, --tls-cert one of our own to show.",
)
@options.server
@click.option(
    "--tls-hostname", "hostname", metavar="NAME", help="The name in the Router's certificate."
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="How many functions may run at once, in one process; 1 if not given.",
)
@click.option(
    "--processes",
    "count",
    metavar="N",
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
) -> int:
    """Offer the functions of TARGET to others.

    TARGET is a module, a file, or one of them with an object: module:object. A module offers
    what has @callback; a function, a class or an object needs none. It is a server that clients
    connect to, or with --router a worker. The first Ctrl-C or SIGTERM lets calls finish, the
    second ends it.
    """
    source = Target.of(target)
    if router is not None:
        _refuse_listening()
        server.pop("port", None)
        server.setdefault("app_name", f"{source.name}-{options.suffix()}")
        server["url"] = router
        if hostname is not None:
            server |= {"server_hostname": hostname, "tls": True}
    elif count > 1:
        raise click.ClickException(
            "several processes can't listen on one address: start a Router (daffi router) and"
            " join it, --router URL --processes N"
        )
    child = processes.number()
    if child is None and (count > 1 or reload or reload_dir):
        watched = (reload_dir or (source.folder,)) if reload or reload_dir else ()
        return processes.Supervisor(count, _arguments(server), watched).run()
    if child is not None:
        processes.end_with_parent()
    if child is not None and count > 1:
        server["app_name"] += f"-{child}"
    server["workers"] = workers
    server["expose"] = source.load(screen.verbose())
    if router is None:
        server.setdefault("app_name", source.name)
        with Service(**server) as node:
            _ready(node, f"{node.app_name} serves", as_json)
            serving.until_signal(node, quiet=child is not None)
        return endings.Exit.DONE
    worker = Client(**server)
    try:
        worker.connect(wait=wait)
        _ready(worker, f"{worker.app_name} works for {worker.server_name()}", as_json)
        serving.until_signal(worker, quiet=child is not None)
    finally:
        worker.stop()
    return endings.Exit.DONE


def _refuse_listening() -> None:
    """A worker has no address of its own."""
    said = click.get_current_context().params
    for name in _LISTENING:
        if said[name] not in (None, ()):
            option = f"--{name.replace('_', '-')}"
            raise click.ClickException(f"with --router it does not listen: leave out {option}")


def _arguments(server: dict[str, Any]) -> list[str]:
    """Our own, with the name that the processes share."""
    own = sys.argv[1:]
    return own if "app_name" not in server else [*own, f"--name={server['app_name']}"]


def _ready(node: Service | Client, what: str, as_json: bool) -> None:
    """Say that it is up, and what it offers: a few names at least."""
    offered = sorted(
        str(function)
        for member in node.members()
        if member.name == node.app_name
        for function in member.functions
    )
    more = f" and {len(offered) - _SHOWN} more" if len(offered) > _SHOWN else ""
    said = f"{what} at {serving.address(node)}: {', '.join(offered[:_SHOWN])}{more}"
    serving.ready(node, said, as_json, functions=offered)

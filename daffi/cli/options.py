"""Options that several commands share, and what nodes are made of with them.

A secret never stands on a command line, where everybody on the machine can read it: it comes
from a file or from `DAFFI_TOKEN`. Imports `endings` and `screen`.
"""

from __future__ import annotations

import functools
import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from daffi.cli import endings, screen

_Decorator = Callable[[Any], Any]

PORT = 7700
URL = f"tcp://127.0.0.1:{PORT}"

_FILE = click.Path(dir_okay=False)


def _all(*options: _Decorator) -> _Decorator:
    """Several decorators as one; the first one's option is listed first."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_verbose = click.option(
    "-v", "--verbose", count=True, help="Tracebacks, and what daffi logs; twice for all of it."
)
as_json = click.option(
    "--json", "as_json", is_flag=True, help="Results as JSON, one value on each line."
)
_token_file = click.option(
    "--token-file",
    metavar="FILE",
    type=_FILE,
    help="The secret that both sides share; DAFFI_TOKEN otherwise. There is no option for the"
    " secret itself: everybody on the machine could read it in the list of processes.",
)
_name = click.option("--name", metavar="NAME", help="Name on the network.")


class Seconds(click.FloatRange):
    """A time; what is no number, `nan`, is none."""

    name = "seconds"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Read it."""
        found = float(super().convert(value, param, ctx))
        return self.fail("nan is no time", param, ctx) if found != found else found


seconds = Seconds(min=0)


def _tls(ca: str, cert: str, *more: _Decorator) -> _Decorator:
    return _all(
        click.option("--tls", is_flag=True, help="Speak TLS; --tls-... and tls:// imply it."),
        click.option("--tls-ca", metavar="FILE", type=_FILE, help=ca),
        click.option("--tls-cert", metavar="FILE", type=_FILE, help=cert),
        click.option("--tls-key", metavar="FILE", type=_FILE, help="Its key (PEM)."),
        *more,
    )


_client = _all(
    click.option("--unix", metavar="PATH", help="The server's Unix socket."),
    _tls(
        "CA that the server's certificate must come from (PEM).",
        "A certificate of our own to show (PEM).",
        click.option("--tls-hostname", metavar="NAME", help="The name in that certificate."),
    ),
    _token_file,
    _name,
    _verbose,
)
_server = _all(
    click.option("--host", metavar="HOST", help="Where to listen; 127.0.0.1 if not given."),
    click.option(
        "--port",
        metavar="PORT",
        type=click.IntRange(0, 65535),
        help=f"{PORT} if not given; 0 takes a free one.",
    ),
    click.option("--url", metavar="URL", help="Both in one, or unix:///path; DAFFI_URL otherwise."),
    click.option("--unix", metavar="PATH", help="Listen on a Unix socket instead."),
    _tls("Ask clients for certificates of this CA (PEM).", "Our certificate (PEM)."),
    _token_file,
    click.option(
        "--allow-pickle/--no-pickle",
        default=None,
        help="Read pickles of everybody, or of nobody; of those who are trusted if not given.",
    ),
    click.option(
        "--allowed-origin",
        metavar="ORIGIN",
        multiple=True,
        help="Pages of this origin may connect; may be repeated.",
    ),
    click.option(
        "--allowed-host",
        metavar="HOST",
        multiple=True,
        help="A name by which pages may call this server; may be repeated.",
    ),
    click.option(
        "--max-message",
        metavar="BYTES",
        type=click.IntRange(min=1),
        help="The largest message; 1 GiB if not given.",
    ),
    _name,
    _verbose,
)
_url_option = click.option(
    "-u", "--url", metavar="URL", help=f"The server; DAFFI_URL or {URL} if not given."
)
_url_argument = click.argument("place", metavar="[URL]", required=False)


def client(*, argument: bool) -> _Decorator:
    """Options of a command that connects; the function gets `client`, what a Client takes.

    `argument`: the server may be an argument of the command too.
    """
    where = (_url_argument, _url_option) if argument else (_url_option,)
    return _gathering("client", client_options, *where, _client)


def server(function: Any) -> Any:
    """Options of a command that listens; the function gets `server`, what a Router takes."""
    return _gathering("server", server_options, _server)(function)


_COLLECTED = {
    "url", "place", "unix", "host", "port", "tls", "tls_ca", "tls_cert", "tls_key", "tls_hostname",
    "token_file", "allow_pickle", "allowed_origin", "allowed_host", "max_message", "name",
}  # fmt: skip


def _gathering(
    into: str, make: Callable[[dict[str, Any]], dict[str, Any]], *options: Any
) -> _Decorator:
    """Give a command these options, and its function what `make` makes of them."""

    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        def command(verbose: int, **given: Any) -> Any:
            _log(verbose)
            own = {name: given.pop(name) for name in _COLLECTED & given.keys()}
            return function(**{into: make(own)}, **given)

        return _all(*options)(command)

    return decorate


def client_options(given: dict[str, Any]) -> dict[str, Any]:
    """What a Client takes, of what was said on the command line."""
    place = given.pop("place", None)
    if place is not None and given["url"] is not None:
        raise click.ClickException("the server stands there twice: leave out --url")
    given["url"] = given["url"] or place
    made = _node_options(given)
    if not made.keys() & {"url", "unix_sock_path"} and not os.environ.get("DAFFI_URL"):
        made["url"] = URL
    made.setdefault("app_name", f"daffi-{click.get_current_context().info_name}-{suffix()}")
    return made


def server_options(given: dict[str, Any]) -> dict[str, Any]:
    """What a Router or a Service takes, of what was said on the command line."""
    made = _node_options(given)
    made |= _some(
        host=given["host"],
        port=given["port"],
        allow_pickle=given["allow_pickle"],
        allowed_origins=list(given["allowed_origin"]) or None,
        allowed_hosts=list(given["allowed_host"]) or None,
        max_message=given["max_message"],
    )
    addressed = made.keys() & {"url", "unix_sock_path", "port"}
    if not addressed and not (os.environ.get("DAFFI_URL") and "host" not in made):
        made["port"] = PORT
    return made


def _node_options(given: dict[str, Any]) -> dict[str, Any]:
    files = _some(
        ca_file=given["tls_ca"],
        cert_file=given["tls_cert"],
        key_file=given["tls_key"],
        server_hostname=given.get("tls_hostname"),
    )
    return files | _some(
        url=given["url"],
        unix_sock_path=given["unix"],
        tls=bool(given["tls"] or files) or None,
        token=None if given["token_file"] is None else _secret(given["token_file"]),
        app_name=given["name"],
    )


def _some(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def suffix() -> str:
    """What makes a name our own."""
    return secrets.token_hex(3)


def _secret(path: str) -> str:
    try:
        text = Path(path).read_text("utf-8").strip()
        mode = Path(path).stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise click.ClickException(f"--token-file {path} can't be read: {reason}") from None
    if not text:
        raise click.ClickException(f"--token-file {path} is empty: write the secret into it")
    if os.name == "posix" and mode & 0o004:
        screen.warn(f"everybody on this machine can read the secret: chmod o-r {path}")
    return text


class _Lines(logging.Formatter):
    """What nodes log, with the names that options have here."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        return endings.named(super().format(record))


def _log(verbose: int) -> None:
    """What daffi logs goes beside the results; what the served functions log is theirs."""
    log = logging.getLogger("daffi")
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_Lines("daffi: %(message)s"))
        log.addHandler(handler)
        log.propagate = False
    log.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])

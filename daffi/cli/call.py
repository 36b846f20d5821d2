"""`daffi call`. Imports `arguments`, `endings`, `options` and `screen`."""

from __future__ import annotations

from typing import Any

import click

from daffi import Client, SerdeFormat
from daffi.cli import arguments, endings, options, screen
from daffi.exceptions import CallTimeout


@click.command(
    context_settings={"ignore_unknown_options": True},  # -3 is a number
    epilog="""\b
Examples:
  daffi call add 3 4
  daffi call resize cat.png width=640 'tags=["a", "b"]'
  daffi call --cast --timeout 5 status
  daffi call --receiver worker-1 add -3 4
""",
)
@options.client(argument=False)
@click.argument("function", metavar="FUNCTION")
@click.argument("words", metavar="[ARGS]...", nargs=-1)
@click.option("--cast", is_flag=True, help="Call all who offer it; {worker: result} comes back.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=options.seconds,
    help="Seconds until it is given up; never if not given.",
)
@click.option(
    "--receiver", metavar="NAME", multiple=True, help="Who is to run it; with --cast several."
)
@click.option(
    "--serde",
    type=click.Choice([serde.name.lower() for serde in SerdeFormat]),
    default="json",
    show_default=True,
    help="How arguments and result travel. opaque: one text, and what comes back as it is.",
)
@options.as_json
def call(
    client: dict[str, Any],
    function: str,
    words: tuple[str, ...],
    cast: bool,
    timeout: float | None,
    receiver: tuple[str, ...],
    serde: str,
    as_json: bool,
) -> int:
    """Call FUNCTION and show its result as JSON.

    ARGS are JSON; what is no JSON is text. key=value gives an argument by its name.
    """
    if function.startswith("_"):
        raise click.ClickException(
            f"{function}: names that begin with _ are not offered by anybody"
        )
    if len(receiver) > 1 and not cast:
        raise click.ClickException("only with --cast there may be several --receiver")
    opaque = serde == "opaque"
    if opaque and len(words) != 1:
        raise click.ClickException("with --serde opaque there is one argument, a text")
    given = arguments.Arguments(list(words), {}) if opaque else arguments.parse(words)
    with Client(**client, reconnect=False) as conn:
        if cast:
            proxy = conn.cast(timeout, list(receiver) or None, serde)
        else:
            proxy = conn.rpc(timeout, receiver[0] if receiver else None, serde)
        try:
            result = getattr(proxy, function)(*given.args, **given.kwargs)
        except CallTimeout as error:
            if error.partial:
                _show_cast(error.partial, as_json)
            raise
    if cast:
        return _show_cast(result, as_json)
    if opaque:
        click.echo(b"" if result is None else result, nl=False)  # bytes or text, as they are
    else:
        screen.show_json(result, lines=as_json or not screen.at_terminal())
    return endings.Exit.DONE


def _show_cast(answers: dict[str, Any], as_json: bool) -> int:
    """The results on the output, the failures beside it."""
    failed = {name: value for name, value in answers.items() if isinstance(value, Exception)}
    results = {name: value for name, value in answers.items() if name not in failed}
    screen.show_json(results, lines=as_json or not screen.at_terminal())
    for name, error in failed.items():
        screen.warn(f"{name}: {endings.line(error)}")
    return max((endings.code(error) for error in failed.values()), default=endings.Exit.DONE)

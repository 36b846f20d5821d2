"""The group of all commands, and how a run of one of them begins and ends.

Whatever goes wrong and was foreseen is said in one line. Imports all commands, and `endings`.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Any

import click

from daffi import __version__
from daffi.cli import endings, screen
from daffi.cli.bench import bench
from daffi.cli.call import call
from daffi.cli.ls import ls
from daffi.cli.ping import ping
from daffi.cli.router import router
from daffi.cli.serve import serve
from daffi.cli.top import top

_WIDTH = 100


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. Whoever reads its results may have seen enough."""
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, SystemExit) as error:
            # rich, which draws the tables, makes the second one of the first.
            if not any(isinstance(each, BrokenPipeError) for each in (error, error.__context__)):
                raise
            screen.discard()
            return endings.Exit.DONE


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _WIDTH},
    epilog="""\b
Three terminals:
  daffi serve functions.py
  daffi call add 3 4
  daffi top

Without --url, or DAFFI_URL, the server is the one at tcp://127.0.0.1:7700.
""",
)
@click.version_option(__version__, message="daffi %(version)s")
def daffi() -> None:
    """Python processes call each other's functions."""


for command in (router, serve, call, ls, top, ping, bench):
    daffi.add_command(command)


def run(args: Sequence[str]) -> int:
    """Run one command; the exit code."""
    try:
        return daffi.main(list(args), prog_name="daffi", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return endings.Exit.USAGE
    except click.ClickException as error:
        command = (
            error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        )
        hint = f" ({command} --help)" if command else ""
        screen.fail(" ".join(error.format_message().split()) + hint)
        return endings.Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return 130
    except endings.FORESEEN as error:
        if screen.verbose() and (there := endings.traceback(error)):
            screen.tell(there)
        screen.fail(endings.line(error, "--router" if args[0] == "serve" else "--url"))
        return endings.code(error)
    except OSError as error:  # a full disk, mostly
        screen.discard()
        if screen.verbose():
            screen.tell("".join(traceback.format_exception(error)).rstrip())
        screen.fail(f"it can't go on: {error}")
        return endings.Exit.RAISED

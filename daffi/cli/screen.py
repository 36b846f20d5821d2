"""What is shown: tables and colours for people, JSON for programs.

Colours only on a terminal and not with NO_COLOR; what goes into a pipe is as wide as it is.
rich is imported when the first table is drawn. Imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_PIPE = 1000  # columns of what is no terminal


def console() -> Console:
    """Where tables go."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE
    return Console(highlight=False, markup=False, emoji=False, width=wide)


def table(*columns: str, numbers: bool = True) -> Table:
    """An empty table without lines; all columns but the first are numbers."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for place, name in enumerate(columns):
        right = numbers and place > 0
        made.add_column(name, justify="right" if right else "left", no_wrap=True)
    return made


def tell(text: str) -> None:
    """A line for people, beside the results. That nobody reads it changes nothing."""
    with contextlib.suppress(BrokenPipeError):
        click.echo(text, err=True)


def warn(text: str) -> None:
    """A line that begins with who says it."""
    tell(_painted("daffi: ", "yellow") + text)


def _painted(text: str, colour: str) -> str:
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=colour)


def fail(text: str) -> None:
    """What went wrong, and what to do."""
    tell(_painted("daffi: ", "red") + text)


def verbose() -> bool:
    """Whether tracebacks are wanted."""
    return logging.getLogger("daffi").getEffectiveLevel() <= logging.INFO


def show_json(value: Any, *, lines: bool = True) -> None:
    """A result as JSON, on one line or as people read it; what JSON can't say, as Python does."""
    indent = None if lines else 2

    def text(ascii_only: bool) -> str:
        try:
            return json.dumps(
                value, indent=indent, ensure_ascii=ascii_only, allow_nan=False, default=repr
            )
        except (TypeError, ValueError):  # keys that are no text, nan, a value inside of itself
            return json.dumps(repr(value), ensure_ascii=ascii_only)

    try:
        click.echo(text(ascii_only=False))
    except UnicodeEncodeError:  # letters that the output does not have, half of a pair
        click.echo(text(ascii_only=True))


def discard() -> None:
    """Forget what could not be written: the exit would try it once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def at_terminal() -> bool:
    """Whether somebody looks."""
    return sys.stdout.isatty()


def count(number: float) -> str:
    """A whole number, with its thousands apart."""
    return f"{number:,.0f}"


def per_second(rate: float) -> str:
    """A rate, with a digit behind the point where that tells something."""
    return f"{rate:,.0f}" if rate >= 100 or rate == int(rate) else f"{rate:,.1f}"


def size(amount: float) -> str:
    """Bytes, as people say them."""
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:,.0f} {unit}" if amount >= 100 or unit == "B" else f"{amount:,.1f} {unit}"


def span(seconds: float) -> str:
    """A time, as people say it."""
    if seconds < 1:
        return f"{seconds * 1000:.2f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"

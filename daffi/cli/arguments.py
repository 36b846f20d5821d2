"""ARGS of `call`: JSON where they are JSON, text where they are not. Imports nothing of ours."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from typing import Any, NamedTuple

import click

_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_OPTION = re.compile(r"-{1,2}[A-Za-z]")


class Arguments(NamedTuple):
    """What a function is called with."""

    args: list[Any]
    kwargs: dict[str, Any]


def value(text: str) -> Any:
    """One value; what is no JSON is text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def parse(words: Iterable[str]) -> Arguments:
    """Positional ones, and `key=value`. What looks like an option is one that there is not."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for word in words:
        named = _NAMED.fullmatch(word)
        if named is None:
            if _OPTION.match(word):
                raise click.ClickException(
                    f"no such option: {word}; text that begins so is passed as JSON: '\"{word}\"'"
                )
            if kwargs:
                raise click.ClickException(f"{word}: arguments without a name come first")
            args.append(value(word))
        elif named[1] in kwargs:
            raise click.ClickException(f"{named[1]}= stands there twice")
        else:
            kwargs[named[1]] = value(named[2])
    return Arguments(args, kwargs)


def split(text: str) -> tuple[str, Arguments]:
    """A function with its arguments, in one text."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise click.ClickException(f"{text!r} can't be split into words: {error}") from None
    if not words:
        raise click.ClickException("there is no function in an empty text")
    return words[0], parse(words[1:])

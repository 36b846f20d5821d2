"""Whom a node believes, and how it proves who it is: TLS, tokens, allow-lists.

Options are checked here, before anything is opened, and every refusal says what to pass
instead. Nothing that was asked for to be safe may be ignored. Imports the engine and
`exceptions`.
"""

from __future__ import annotations

import os
from typing import Any

from daffi._native import Token
from daffi.exceptions import InitializationError


def refuse_tls(**options: Any) -> None:
    """There is no TLS yet."""
    _refuse("TLS", options)


def token(given: Any) -> Token | None:
    """The shared secret, given or from `DAFFI_TOKEN`; None where there is none.

    It is no text any more, so no repr, log or traceback can show it. No refusal shows it either.
    """
    source = "token"
    if given is None:
        source, given = "DAFFI_TOKEN", os.environ.get("DAFFI_TOKEN")
        if given is None:
            return None
    if not isinstance(given, str):
        raise InitializationError(f"token is a str, not {type(given).__name__}")
    if not given:
        raise InitializationError(
            f"{source} is empty: set it to the secret that both sides share, or leave it out"
        )
    if any("\ud800" <= character <= "\udfff" for character in given):
        raise InitializationError(f"{source} is no text that can be written as UTF-8")
    return Token(given)


def allowed(option: str, entries: Any) -> list[str] | None:
    """A list of who may come in over WebSocket; the engine reads what its entries say."""
    if entries is None:
        return None
    if isinstance(entries, str):
        raise InitializationError(f"{option} is a list of strings: pass [{entries!r}]")
    try:
        texts = [*entries]
    except TypeError:
        raise InitializationError(
            f"{option} is a list of strings, not {type(entries).__name__}"
        ) from None
    for text in texts:
        if not isinstance(text, str):
            raise InitializationError(f"{option} is a list of strings, not of {text!r}")
    return texts


def _refuse(what: str, options: dict[str, Any]) -> None:
    for option, value in options.items():
        if value:
            raise InitializationError(
                f"{option}: this version of daffi has no {what} yet; leave it out"
            )

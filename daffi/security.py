"""Whom a node believes, and how it proves who it is: TLS, tokens, allow-lists.

Options are checked here, before anything is opened, and every refusal says what to pass
instead. Nothing that was asked for to be safe may be ignored. Imports `exceptions`.
"""

from __future__ import annotations

import os
from typing import Any

from daffi.exceptions import InitializationError


def refuse_tls(**options: Any) -> None:
    """There is no TLS yet."""
    _refuse("TLS", options)


def refuse_token(token: Any) -> None:
    """There are no tokens yet."""
    if token is None and os.environ.get("DAFFI_TOKEN"):
        raise InitializationError(
            "DAFFI_TOKEN is set, but this version of daffi has no tokens yet; unset it,"
            " and let only trusted machines reach this address"
        )
    _refuse("tokens", {"token": token})


def allowed(option: str, entries: Any) -> list[str] | None:
    """A list of who may come in over WebSocket; the engine reads what its entries say."""
    if entries is None:
        return None
    if isinstance(entries, str):
        raise InitializationError(f"{option} is a list of strings: pass [{entries!r}]")
    try:
        entries = list(entries)
    except TypeError:
        raise InitializationError(
            f"{option} is a list of strings, not {type(entries).__name__}"
        ) from None
    for entry in entries:
        if not isinstance(entry, str):
            raise InitializationError(f"{option} is a list of strings, not of {entry!r}")
    return entries


def _refuse(what: str, options: dict[str, Any]) -> None:
    for option, value in options.items():
        if value:
            raise InitializationError(
                f"{option}: this version of daffi has no {what} yet; leave it out"
            )

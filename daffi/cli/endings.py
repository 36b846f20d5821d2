"""How a command ends: its exit code, and one line that says why.

`docs/cli.md` has the same table. Imports `exceptions`.
"""

from __future__ import annotations

import re
from enum import IntEnum

from daffi.exceptions import (
    AuthenticationError,
    CallTimeout,
    DaffiError,
    Disconnected,
    Evicted,
    InitializationError,
    MessageTooLarge,
    Overloaded,
    RemoteCallError,
    SerdeNotAllowed,
    SerializationError,
    TransmissionFailure,
)


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    RAISED = 1  # the function raised; or what nobody foresaw
    USAGE = 2  # options, arguments, TARGET
    START = 3  # can't start or connect
    REFUSED = 4  # token or certificate: not let in
    NOBODY = 5  # nobody there to run it
    LATE = 6  # no answer in time
    LOST = 7  # the connection or the worker went away
    TOO_MUCH = 8  # no room, or too large
    UNREADABLE = 9  # can't be written or read in this format
    EVICTED = 10  # another node took the name


# The first that fits counts.
_CODES: tuple[tuple[type[BaseException], Exit], ...] = (
    (RemoteCallError, Exit.RAISED),
    (AuthenticationError, Exit.REFUSED),
    (InitializationError, Exit.START),
    (TransmissionFailure, Exit.NOBODY),
    (CallTimeout, Exit.LATE),
    (TimeoutError, Exit.LATE),
    (Evicted, Exit.EVICTED),
    (Disconnected, Exit.LOST),
    (Overloaded, Exit.TOO_MUCH),
    (MessageTooLarge, Exit.TOO_MUCH),
    (SerializationError, Exit.UNREADABLE),
    (SerdeNotAllowed, Exit.UNREADABLE),
)
FORESEEN = (DaffiError, TimeoutError)


def code(error: BaseException) -> Exit:
    """The exit code for an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.RAISED)


# How nodes call their options, and how the command line does.
_OPTIONS = {
    "cert_file": "--tls-cert",
    "key_file": "--tls-key",
    "ca_file": "--tls-ca",
    "server_hostname": "--tls-hostname",
    "tls=True": "--tls",
    "token=": "--token-file",
    "unix_sock_path": "--unix",
    "host and port": "--host and --port",
    "app_name": "--name",
    "max_message": "--max-message",
    "allow_pickle=True": "--allow-pickle",
    "allow_pickle=False": "--no-pickle",
    "serde=JSON or MSGPACK": "--serde json or msgpack",
    "allowed_origins": "--allowed-origin",
    "allowed_hosts": "--allowed-host",
    "another port": "another --port",
    "url together": "--url together",
}
_OPTION = re.compile(rf"(?<![\w'])({'|'.join(map(re.escape, _OPTIONS))})(?!\w)")
_NOBODY = "; is the server up?"  # what nodes ask where nobody listens; then what they can do


def named(text: str) -> str:
    """What nodes say, with the names that options have here."""
    return _OPTION.sub(lambda found: _OPTIONS[found[1]], text)


def line(error: BaseException, place: str = "--url") -> str:
    """The error in one line. `place` is the option that says where the server is."""
    text = " ".join(str(error).split())
    if isinstance(error, (InitializationError, MessageTooLarge, SerdeNotAllowed)):
        text = named(text).replace(" (connect_timeout)", "")  # no option here
    if isinstance(error, RemoteCallError):
        kind = error.remote_type.rpartition(".")[2]
        if kind and not text.startswith(kind):
            text = f"{kind}: {text}" if text else kind
        return f"{text} (raised by {error.worker})" if error.worker else text
    if _NOBODY in text:
        text = text.partition(_NOBODY)[0]
        text += f"; start a server there (daffi serve, daffi router), or name another with {place}"
    if isinstance(error, SerializationError) and "pickle" not in text.lower():
        text = text.partition("; MSGPACK has them")[0] + "; try --serde msgpack or pickle"
    return text or type(error).__name__


def traceback(error: BaseException) -> str:
    """What happened over there, where it is known."""
    return error.remote_traceback.rstrip() if isinstance(error, RemoteCallError) else ""

"""Python processes and browsers call each other's functions.

    from daffi import Client, Service, callback

This is the blocking face: servers, clients, and what marks the functions that they offer. Only
names that users import live here; the errors are in `daffi.exceptions`.
"""

from daffi._native import __version__
from daffi.dispatch import current_call
from daffi.formats import SerdeFormat
from daffi.registry import alias, callback, local
from daffi.sync import Client, Router, Service

__all__ = [
    "Client",
    "Router",
    "SerdeFormat",
    "Service",
    "__version__",
    "alias",
    "callback",
    "current_call",
    "local",
]

"""Pyro5: an exposed class in a `Daemon`, called through a `Proxy`.

Lives here: both ends. Calls and records use serpent, the default; bytes use msgpack, as serpent
would turn them into text. Imports `bench.talk`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import Pyro5.api

from bench import talk
from bench.pace import Order

VERSION = f"Pyro5 {version('Pyro5')}"


@Pyro5.api.expose
class Far:
    def add(self, left: int, right: int) -> int:
        return left + right

    def record(self, value: Any) -> Any:
        return value

    def echo(self, value: bytes) -> bytes:
        return value


def serve(order: Order) -> None:
    """A daemon with one object."""
    with Pyro5.api.Daemon(**order["address"]) as daemon:
        daemon.register(Far, objectId="far")
        talk.say(ready=True)
        daemon.requestLoop()


@contextmanager
def connect(order: Order) -> Iterator[Any]:
    """One proxy."""
    if "size" in order:
        Pyro5.api.config.SERIALIZER = "msgpack"
    with Pyro5.api.Proxy("PYRO:far@{host}:{port}".format(**order["address"])) as far:
        yield far

"""zerorpc: an object behind a `Server`, called through a `Client`; MessagePack on ZeroMQ.

Lives here: both ends. Imports `bench.talk`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import zerorpc

from bench import talk
from bench.pace import Order

VERSION = f"zerorpc {version('zerorpc')}"


class _Far:
    def add(self, left: int, right: int) -> int:
        return left + right

    def record(self, value: Any) -> Any:
        return value

    def echo(self, value: bytes) -> bytes:
        return value


def _url(order: Order) -> str:
    return "tcp://{host}:{port}".format(**order["address"])


def serve(order: Order) -> None:
    """A server of one object."""
    server = zerorpc.Server(_Far())
    server.bind(_url(order))
    talk.say(ready=True)
    server.run()


@contextmanager
def connect(order: Order) -> Iterator[Any]:
    """One client."""
    client = zerorpc.Client()
    client.connect(_url(order))
    try:
        yield client
    finally:
        client.close()

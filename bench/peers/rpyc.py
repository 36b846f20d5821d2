"""RPyC: a service class behind a `ThreadedServer`, called through `conn.root`.

Lives here: both ends. A record goes as a pickle made by hand: RPyC would otherwise pass a
reference to it, and fetch each field with a call of its own. Imports `bench.talk`.
"""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import rpyc
from rpyc.utils.server import ThreadedServer

from bench import talk
from bench.pace import Order

VERSION = f"RPyC {version('rpyc')}"


class _Far(rpyc.Service):  # type: ignore[misc]  # has no types
    def exposed_add(self, left: int, right: int) -> int:
        return left + right

    def exposed_echo(self, value: bytes) -> bytes:
        return value

    def exposed_record(self, value: bytes) -> bytes:
        return pickle.dumps(pickle.loads(value))


def serve(order: Order) -> None:
    """A threaded server."""
    address = order["address"]
    server = ThreadedServer(_Far(), hostname=address["host"], port=address["port"])
    talk.say(ready=True)
    server.start()


class _Near:
    def __init__(self, root: Any) -> None:
        self.add = root.add
        self.echo = root.echo
        self._record = root.record

    def record(self, value: Any) -> Any:
        return pickle.loads(self._record(pickle.dumps(value)))


@contextmanager
def connect(order: Order) -> Iterator[_Near]:
    """One connection."""
    conn = rpyc.connect(order["address"]["host"], order["address"]["port"])
    try:
        yield _Near(conn.root)
    finally:
        conn.close()

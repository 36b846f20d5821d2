"""Opening nodes in words that this daffi and daffi 3.0.1 both understand.

Lives here: every place where the two could differ, which is how a node is made and how a
caller learns that its workers are there. Imports daffi only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from daffi import Client, Router, Service

# 3.0.1 keeps whole seconds and takes no fractions.
PATIENCE = 30


def start_service(address: dict[str, Any]) -> Service:
    """A Service at `address` (`host` and `port`, or `unix_sock_path`), started."""
    node = Service("service", **address)
    node.start()
    return node


def start_router(address: dict[str, Any]) -> Router:
    """A Router at `address`, started."""
    node = Router("router", **address)
    node.start()
    return node


def start_worker(name: str, address: dict[str, Any]) -> Client:
    """A Client that offers every callback of its process."""
    node = Client(name, **address)
    node.connect()
    return node


@contextmanager
def connection(order: dict[str, Any], name: str = "caller") -> Iterator[Any]:
    """A caller's connection to the order's address, once the workers that it names are there."""
    client = Client(name, **order["address"])
    conn = client.connect()
    try:
        if order["workers"]:
            conn.wait_for_members(*order["workers"], timeout=PATIENCE, interval=0.05)
        yield conn
    finally:
        client.stop()

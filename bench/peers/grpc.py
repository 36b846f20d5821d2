"""gRPC with blocking calls: a server with a pool of threads, and a stub.

Lives here: both ends. A record is a message of `calls.proto`, built from the dictionary and
turned back into one. Imports `bench.talk`.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import grpc

from bench import talk
from bench.pace import Order

VERSION = f"gRPC {version('grpcio')}"
PROTOS, SERVICES = grpc.protos_and_services("bench/peers/calls.proto")
# Without these a message may not be above 4 MiB.
LARGE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def target(order: Order) -> str:
    """Where the server is, in gRPC's words."""
    return "{host}:{port}".format(**order["address"])


class _Far(SERVICES.FarServicer):  # type: ignore[misc, name-defined]  # made at run time
    def Add(self, pair: Any, _context: Any) -> Any:
        return PROTOS.Sum(value=pair.left + pair.right)

    def Keep(self, record: Any, _context: Any) -> Any:
        return record

    def Echo(self, blob: Any, _context: Any) -> Any:
        return blob


def serve(order: Order) -> None:
    """A server with ten threads."""
    server = grpc.server(ThreadPoolExecutor(max_workers=10), options=LARGE)
    SERVICES.add_FarServicer_to_server(_Far(), server)
    server.add_insecure_port(target(order))
    server.start()
    talk.say(ready=True)
    server.wait_for_termination()


class _Near:
    def __init__(self, channel: Any) -> None:
        self._stub = SERVICES.FarStub(channel)

    def add(self, left: int, right: int) -> int:
        sum_: int = self._stub.Add(PROTOS.Pair(left=left, right=right)).value
        return sum_

    def echo(self, value: bytes) -> bytes:
        same: bytes = self._stub.Echo(PROTOS.Blob(value=value)).value
        return same

    def record(self, value: dict[str, Any]) -> dict[str, Any]:
        kept = self._stub.Keep(PROTOS.Record(**value))
        address = kept.address
        zip_ = address.zip if address.HasField("zip") else None
        return {
            "id": kept.id,
            "name": kept.name,
            "active": kept.active,
            "balance": kept.balance,
            "tags": list(kept.tags),
            "points": list(kept.points),
            "address": {"street": address.street, "city": address.city, "zip": zip_},
            "text": kept.text,
        }


@contextmanager
def connect(order: Order) -> Iterator[_Near]:
    """One channel."""
    with grpc.insecure_channel(target(order), options=LARGE) as channel:
        yield _Near(channel)

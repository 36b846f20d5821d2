"""Members that break the rules: what they announce is not believed, what they never end is bounded.

Each hears why within a second, and the node serves on.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Iterator
from typing import Any

import offered  # noqa: F401 - registers what workers offer
import pytest
from memory import resident
from strangers import CALL, FAILURE, FUNCTION, GOODBYE, JSON, MSGPACK, OPAQUE, OPEN, Stranger, frame

from daffi import Client, Router, Service

SECOND = 1.5  # a second, and some noise of the machine
TRANSFER, TOTAL, PIECE = 8, 9, 0x30
ADD = (FUNCTION, b"add")
MANY = 100_000
HEAD = struct.Struct("<IBBHQ")


def begun(id: int, total: int) -> bytes:
    """The beginning of a call that is said to be large."""
    fields = (ADD, (TRANSFER, struct.pack("<Q", id)), (TOTAL, struct.pack("<Q", total)))
    return frame(CALL, b"x", id=id, format=OPAQUE, fields=fields)


BAD: dict[str, tuple[int, str, bytes]] = {
    "a length of 2^32": (GOODBYE, "accepted here", HEAD.pack((1 << 32) - 1, CALL, 0x20, 0, 1)),
    "fields that are longer": (GOODBYE, "longer", HEAD.pack(4, CALL, 0x20, 60_000, 1) + b"aaaa"),
    "an id of 2^53": (GOODBYE, "id", frame(CALL, b"x", id=1 << 53, format=OPAQUE, fields=(ADD,))),
    "a message of 2^63": (FAILURE, "max_message", begun(1, 1 << 63)),
    "a message of 2^64": (FAILURE, "max_message", begun(1, (1 << 64) - 1)),
    "deep MessagePack": (
        FAILURE,
        "128",
        frame(CALL, b"\x91" * 1_000_000, id=1, format=MSGPACK, fields=(ADD,)),
    ),
    "deep JSON": (
        FAILURE,
        "128",
        frame(CALL, b"[" * 1_000_000, id=1, format=JSON, fields=(ADD,)),
    ),
    "a million empty pieces": (
        GOODBYE,
        "piece",
        begun(1, 1000) + frame(PIECE, id=1) * 1_000_000,
    ),
    "messages without end": (
        GOODBYE,
        "credit|at once",
        b"".join(begun(id, 1 << 20) for id in range(1, MANY)),
    ),
    "streams without end": (
        GOODBYE,
        "credit",
        b"".join(frame(OPEN, id=id, fields=(ADD,)) for id in range(1, MANY)),
    ),
}


@pytest.fixture(params=[Service, Router], ids=["service", "router"])
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    with request.param("server") as node:
        yield node


@pytest.mark.parametrize("kind", BAD)
def test_what_breaks_the_rules_is_bounded(server: Any, kind: str) -> None:
    answer, reason, data = BAD[kind]
    with (
        Client("worker", port=server.port),
        Client("caller", port=server.port, expose=()) as conn,
        Stranger(server.port) as peer,
    ):
        peer.greet()
        before, began = resident(), time.monotonic()
        with contextlib.suppress(ConnectionError):  # it need not take it all
            peer.say(data)
        heard = peer.hear()
        assert time.monotonic() - began < SECOND
        assert resident() - before < 40_000_000
        assert heard.kind == answer
        assert any(word in heard.map["message"] for word in reason.split("|")), heard.map
        assert conn.rpc(timeout=5).add(1, 2) == 3

"""Peers that are nothing but a socket and frames, which they may spoil in any way.

`Stranger` connects to a server, `Imposter` waits for a client. Both are written from
`docs/protocol.md`, for threads of their own. Imports `_native` for MessagePack.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

from daffi._native import decode_msgpack, encode_msgpack

PREAMBLE = b"\xdaffi\x01\x01\0\0"
LIMITS = {"max_message": 1 << 30, "calls": 1024, "bytes": 1 << 24}
HELLO, CHALLENGE, PROOF, WELCOME, GOODBYE = 1, 2, 3, 4, 5
PING, CREDIT, ANNOUNCE, LEAVING = 6, 7, 8, 9
CALL, ANSWER, FAILURE = 0x10, 0x11, 0x12
OPEN, ITEM, PRESENCE = 0x20, 0x21, 0x42
FUNCTION, ORIGIN = 1, 5
NOTHING, PICKLE, JSON, MSGPACK, OPAQUE = range(5)
ONEWAY, CAST = 1, 2


class Frame(NamedTuple):
    """One frame as it came."""

    kind: int
    format: int
    flags: int
    id: int
    body: bytes

    @property
    def map(self) -> Any:
        """Its body, where that is MessagePack."""
        return decode_msgpack(self.body)


def frame(
    kind: int,
    body: bytes | dict[str, Any] | list[Any] = b"",
    *,
    id: int = 0,
    format: int = NOTHING,
    flags: int = 0,
    fields: tuple[tuple[int, bytes], ...] = (),
) -> bytes:
    """The bytes of a frame."""
    data = body if isinstance(body, bytes) else encode_msgpack(body)
    head = b"".join(struct.pack("<BH", key, len(value)) + value for key, value in fields)
    length = len(head) + len(data)
    return struct.pack("<IBBHQ", length, kind, flags | format << 4, len(head), id) + head + data


class Side(NamedTuple):
    """What a proof says of one side."""

    nonce: bytes
    name: str
    incarnation: bytes


def proof(token: str, prover: str, client: Side, server: Side) -> bytes:
    """What shows that `prover` knows the token."""
    parts = [
        b"daffi token 1", prover.encode(), client.nonce, server.nonce, client.name.encode(),
        server.name.encode(), client.incarnation, server.incarnation, b"",
    ]  # fmt: skip
    message = b"".join(struct.pack("<H", len(part)) + part for part in parts)
    return hmac.new(token.encode(), message, "sha256").digest()


class Peer:
    """One end of a connection."""

    def __init__(self, raw: socket.socket) -> None:
        self.raw = raw
        raw.settimeout(10)
        self._rest = b""

    def say(self, *parts: bytes) -> None:
        """Send bytes."""
        self.raw.sendall(b"".join(parts))

    def hear_bytes(self, count: int) -> bytes:
        """The next so many bytes; `EOFError` when it ends before."""
        while len(self._rest) < count:
            piece = self.raw.recv(65_536)
            if not piece:
                raise EOFError(self._rest)
            self._rest += piece
        found, self._rest = self._rest[:count], self._rest[count:]
        return found

    def hear_any(self) -> Frame:
        """The next frame."""
        length, kind, bits, fields, number = struct.unpack("<IBBHQ", self.hear_bytes(16))
        body = self.hear_bytes(length)[fields:]
        return Frame(kind, bits >> 4, bits & 15, number, body)

    def hear(self) -> Frame:
        """The next frame that is neither heartbeat nor credit."""
        while True:
            came = self.hear_any()
            if came.kind not in (PING, CREDIT):
                return came

    def all_to_the_end(self) -> bytes:
        """Everything that still comes."""
        with contextlib.suppress(ConnectionError):
            while piece := self.raw.recv(65_536):
                self._rest += piece
        return self._rest

    def ends(self) -> bool:
        """Whether the other side leaves without another word."""
        try:
            self.hear()
        except (EOFError, ConnectionError):
            return True
        return False

    def close(self) -> None:
        self.raw.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Stranger(Peer):
    """Something that connects to a server. Without `greet` it has said nothing yet."""

    def __init__(self, port: int | None, name: str = "stranger", host: str = "127.0.0.1") -> None:
        assert port, "a TCP server that is up"
        super().__init__(socket.create_connection((host, port), 10))
        self.name = name
        self.incarnation = os.urandom(16)

    def greet(self, *functions: str) -> Frame:
        """Send the greeting; what the server says to it."""
        hello = {
            "name": self.name,
            "incarnation": self.incarnation,
            "functions": [[function, "", ""] for function in functions],
            "limits": LIMITS,
        }
        self.say(PREAMBLE, frame(HELLO, hello))
        assert self.hear_bytes(8) == PREAMBLE
        return self.hear()

    def side(self, nonce: bytes) -> Side:
        """Itself, in a proof."""
        return Side(nonce, self.name, self.incarnation)

    def call(self, function: str, body: bytes, *, format: int, flags: int = 0, id: int = 1) -> None:
        """Call a function."""
        fields = ((FUNCTION, function.encode()), (ORIGIN, b"\x01boss"))
        self.say(frame(CALL, body, id=id, format=format, flags=flags, fields=fields))

    def open(self, function: str, id: int, flags: int = 0) -> None:
        """Begin a stream; nothing that is said of its items yet."""
        fields = ((FUNCTION, function.encode()), (ORIGIN, b"\x01boss"))
        self.say(frame(OPEN, id=id, format=JSON, flags=flags, fields=fields))

    def await_items(self, id: int) -> None:
        """Wait until the worker allows items of a stream."""
        while True:
            came = self.hear_any()
            if (came.kind, came.flags, came.id) == (CREDIT, ONEWAY, id):
                return
            assert came.kind in (PING, CREDIT), came


class WebStranger(Stranger):
    """The same over WebSocket, as a program that is no browser."""

    def __init__(self, port: int | None, name: str = "stranger") -> None:
        super().__init__(port, name)
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n"
        )
        self.raw.sendall(request.encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            piece = self.raw.recv(1)
            assert piece, answer
            answer += piece
        assert answer.startswith(b"HTTP/1.1 101 "), answer

    def say(self, *parts: bytes) -> None:
        """Send bytes as one message."""
        data, mask = b"".join(parts), os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        short = len(data) < 126
        length = bytes([0x80 | len(data)]) if short else b"\xfe" + struct.pack(">H", len(data))
        self.raw.sendall(b"\x82" + length + mask + masked)

    def hear_bytes(self, count: int) -> bytes:
        """The next so many bytes of messages; those of other kinds are skipped."""
        while len(self._rest) < count:
            first, length = self._exactly(2)
            if length >= 126:
                length = int.from_bytes(self._exactly(2 if length == 126 else 8), "big")
            data = self._exactly(length)
            if first & 15 == 8:
                raise EOFError(data)
            self._rest += data if first & 15 in (0, 2) else b""
        found, self._rest = self._rest[:count], self._rest[count:]
        return found

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = self.raw.recv(count - len(found))
            if not piece:
                raise EOFError(found)
            found += piece
        return found


def server_side(challenge: Frame) -> Side:
    """The server, as its challenge says."""
    said = challenge.map
    return Side(said["nonce"], said["name"], said["incarnation"])


class Imposter:
    """Something that listens where a server should, and does `talk` with who connects."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(20)
        self.port = int(self._listener.getsockname()[1])

    def serve(self, talk: Callable[[Peer], Any]) -> Any:
        """Accept one client, hear its greeting out, and talk; what `talk` returns."""
        raw, _ = self._listener.accept()
        with Peer(raw) as peer:
            assert peer.hear_bytes(8) == PREAMBLE
            assert peer.hear().kind == HELLO
            return talk(peer)

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._listener.close()


def welcome(**more: Any) -> bytes:
    """What an imposter says to a client."""
    said = {"name": "imposter", "incarnation": bytes(16), "limits": LIMITS, **more}
    return PREAMBLE + frame(WELCOME, said)

"""A WebSocket client by hand, which can also do what no good client does.

Speaks to a server of this machine over a plain socket. What it knows of daffi is its greeting.
Imports the engine's MessagePack, which other tests check, and the standard library.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import ssl
import struct
from types import TracebackType
from typing import Any

from daffi._native import decode_msgpack, encode_msgpack

CONTINUE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PREAMBLE = b"\xdaffi\x01\x01\0\0"
HELLO, WELCOME, GOODBYE = 1, 4, 5


def request(port: int, *changes: str, line: str = "GET / HTTP/1.1") -> bytes:
    """A request to upgrade; `changes` replace headers, add them, or without a value drop them."""
    headers = [
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version: 13",
    ]
    changed = {change.partition(":")[0].lower() for change in changes}
    kept = [header for header in headers if header.partition(":")[0].lower() not in changed]
    added = [change for change in changes if ":" in change]
    return "\r\n".join([line, *kept, *added, "", ""]).encode()


def frame(kind: int, payload: bytes = b"", *, last: bool = True, mask: bool = True) -> bytes:
    """One frame of WebSocket, as a client sends it."""
    size = len(payload)
    head = bytes([kind | (0x80 if last else 0)])
    masked = 0x80 if mask else 0
    if size < 126:
        head += bytes([masked | size])
    elif size < 65_536:
        head += bytes([masked | 126]) + struct.pack(">H", size)
    else:
        head += bytes([masked | 127]) + struct.pack(">Q", size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def daffi_frame(kind: int, body: Any, number: int = 0, form: int = 0, fields: bytes = b"") -> bytes:
    """One frame of daffi; a body that is not bytes goes as MessagePack."""
    data = body if isinstance(body, bytes) else encode_msgpack(body)
    size = len(fields) + len(data)
    head = struct.pack("<IBBHQ", size, kind, form << 4, len(fields), number)
    return head + fields + data


def hello(name: str) -> bytes:
    """What a daffi client says first."""
    limits = {"max_message": 1 << 20, "calls": 100, "bytes": 1 << 20}
    greeting = {"name": name, "incarnation": os.urandom(16), "limits": limits}
    return _PREAMBLE + daffi_frame(HELLO, greeting)


def call_add(number: int) -> bytes:
    """A call of `add(1, 2)`, in JSON."""
    return daffi_frame(0x10, b"[[1,2],{}]", number, 2, b"\x01\x03\x00add")


class Upgraded:
    """A connection that asked to be a WebSocket: `status`, `headers` and `body` came back."""

    def __init__(
        self,
        port: int,
        *changes: str,
        raw: bytes | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._come = b""
        asked = request(port, *changes) if raw is None else raw
        try:
            self.socket.sendall(asked)
            self.head = self._until(b"\r\n\r\n").decode()
        except BaseException:
            self.socket.close()
            raise
        self.status = int(self.head.split(" ", 2)[1]) if self.head.startswith("HTTP/1.1 ") else 0
        self.headers = {
            name.lower(): value
            for name, _, value in (line.partition(": ") for line in self.head.split("\r\n")[1:])
        }
        self.body = b""
        if self.status != 101:
            self.body = self._exactly(int(self.headers.get("content-length", "0")))
        elif raw is None:
            key = asked.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
            accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
            assert self.headers["sec-websocket-accept"] == accept

    def __enter__(self) -> Upgraded:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, kind: int, payload: bytes = b"", **how: Any) -> None:
        """Send one frame."""
        self.socket.sendall(frame(kind, payload, **how))

    def receive(self) -> tuple[int, bytes]:
        """The next frame; a server sends each message in one."""
        first, second = self._exactly(2)
        assert first & 0xF0 == 0x80 and not second & 0x80, (first, second)
        size = second
        if size == 126:
            (size,) = struct.unpack(">H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._exactly(8))
        return first & 15, self._exactly(size)

    def closed_with(self) -> tuple[int, str]:
        """The code and the reason that the server closes with; what else comes is left out."""
        while True:
            kind, payload = self.receive()
            if kind == CLOSE:
                return struct.unpack(">H", payload[:2])[0], payload[2:].decode()

    def greet(self, name: str) -> None:
        """Say hello, and hear the welcome."""
        self.send(BINARY, hello(name))
        kind, message = self.receive()
        assert kind == BINARY and message.startswith(_PREAMBLE), message
        assert message[12] == WELCOME, message

    def said(self) -> list[tuple[int, bytes]]:
        """Kind and body of each frame of daffi in the next message, which has whole ones only."""
        kind, message = self.receive()
        assert kind == BINARY, (kind, message)
        frames = []
        while message:
            size, what, _, fields, _ = struct.unpack("<IBBHQ", message[:16])
            assert len(message) >= 16 + size
            frames.append((what, message[16 + fields : 16 + size]))
            message = message[16 + size :]
        return frames

    def hears(self, wanted: int) -> bytes:
        """The body of the next frame of daffi of this kind."""
        while True:
            for kind, body in self.said():
                if kind == wanted:
                    return body

    def hears_goodbye(self) -> str:
        """The kind of failure that the server says goodbye with."""
        return str(decode_msgpack(self.hears(GOODBYE))["kind"])

    def is_cut(self) -> bool:
        """Whether the server has ended the connection, with nothing more to say."""
        try:
            return self._come == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _until(self, end: bytes) -> bytes:
        while end not in self._come:
            self._more()
        data, _, self._come = self._come.partition(end)
        return data

    def _exactly(self, count: int) -> bytes:
        while len(self._come) < count:
            self._more()
        data, self._come = self._come[:count], self._come[count:]
        return data

    def _more(self) -> None:
        data = self.socket.recv(65_536)
        if not data:
            raise EOFError(f"the server closed the connection after {self._come[:200]!r}")
        self._come += data

"""The floor: what plain Python sockets do with the same bytes.

Lives here: an echo server and its caller over TCP and Unix sockets, without daffi. A row of
reference: no call library written in Python can be expected to pass it by much.
Imports `pace` and `talk`.
"""

import socket
import struct
from typing import Any

from bench import pace, talk

_SIZE = struct.Struct("!Q")


def _open(address: dict[str, Any]) -> tuple[socket.AddressFamily, Any]:
    if "unix_sock_path" in address:
        return socket.AF_UNIX, address["unix_sock_path"]
    return socket.AF_INET, (address["host"], address["port"])


def _fill(sock: socket.socket, view: memoryview) -> None:
    while view:
        count = sock.recv_into(view)
        if not count:
            raise ConnectionError("the other side closed")
        view = view[count:]


def _tune(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def server(order: dict[str, Any]) -> None:
    """Echo messages of one size, which the caller names first."""
    family, address = _open(order["address"])
    with socket.socket(family) as listener:
        if family == socket.AF_INET:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
        talk.say(ready=True)
        sock, _ = listener.accept()
    with sock:
        _tune(sock)
        head = bytearray(_SIZE.size)
        _fill(sock, memoryview(head))
        message = bytearray(_SIZE.unpack(head)[0])
        while True:
            _fill(sock, memoryview(message))
            sock.sendall(message)


def _trips(order: dict[str, Any]) -> pace.Run:
    """Round trips."""
    family, address = _open(order["address"])
    with socket.socket(family) as sock:
        sock.connect(address)
        _tune(sock)
        sock.sendall(_SIZE.pack(order["size"]))
        message = bytes(order["size"])
        answer = bytearray(order["size"])

        def trip() -> None:
            sock.sendall(message)
            _fill(sock, memoryview(answer))

        return pace.repeat(trip, order)


def ping(order: dict[str, Any]) -> None:
    """Small messages there and back, per second."""
    run = _trips(order)
    talk.figure(run.rate, "sockets", run.cpu)


def echo(order: dict[str, Any]) -> None:
    """Large messages there and back, GiB/s both ways together."""
    run = _trips(order)
    talk.figure(pace.gibibytes(run, order["size"]), "sockets", run.cpu)

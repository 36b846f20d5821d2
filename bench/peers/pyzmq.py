"""ZeroMQ: REQ and REP sockets, pickles by `send_pyobj`; a shared queue in between if routed.

Lives here: both ends and the queue. Bytes go as they are, uncopied. Imports `bench.talk`.
"""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import zmq

from bench import talk
from bench.pace import Order

VERSION = f"pyzmq {version('pyzmq')}"


def _url(address: dict[str, Any]) -> str:
    return "tcp://{host}:{port}".format(**address)


def broker(order: Order) -> None:
    """A queue: callers on one side, who serves on the other."""
    context = zmq.Context.instance()
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    front.bind(_url(order["address"]))
    back.bind(_url(order["behind"]))
    talk.say(ready=True)
    zmq.proxy(front, back)


def serve(order: Order) -> None:
    """Answer one request after another."""
    socket = zmq.Context.instance().socket(zmq.REP)
    if order["routed"]:
        socket.connect(_url(order["behind"]))
    else:
        socket.bind(_url(order["address"]))
    talk.say(ready=True)
    while True:
        if "size" in order:
            socket.send(socket.recv(copy=False), copy=False)
            continue
        name, *values = socket.recv_pyobj()
        socket.send_pyobj(values[0] + values[1] if name == "add" else values[0])


class _Near:
    def __init__(self, socket: Any) -> None:
        self._socket = socket

    def add(self, left: int, right: int) -> int:
        self._socket.send_pyobj(("add", left, right), protocol=pickle.HIGHEST_PROTOCOL)
        sum_: int = self._socket.recv_pyobj()
        return sum_

    def record(self, value: Any) -> Any:
        self._socket.send_pyobj(("record", value), protocol=pickle.HIGHEST_PROTOCOL)
        return self._socket.recv_pyobj()

    def echo(self, value: bytes) -> memoryview:
        self._socket.send(value, copy=False)
        answer: memoryview = self._socket.recv(copy=False).buffer
        return answer


@contextmanager
def connect(order: Order) -> Iterator[_Near]:
    """One socket."""
    with zmq.Context.instance().socket(zmq.REQ) as socket:
        socket.connect(_url(order["address"]))
        yield _Near(socket)

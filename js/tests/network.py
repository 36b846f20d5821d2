"""A network for the tests of the JavaScript client, as a process of its own.

    network.py router|service [option=value ...]

Prints `ready PORT`. Its input is one command a line, each answered by a line `done`: `stop` and
`start` the server, which comes back with the port that it had. It ends when its input does. Options
are those of the server, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from daffi import callback, current_call
from daffi.aio import AsyncClient, AsyncRouter, AsyncService

TOPOLOGY = sys.argv[1]
OPTIONS = {key: json.loads(value) for key, _, value in (arg.partition("=") for arg in sys.argv[2:])}
ACCESS = {"token": OPTIONS["token"]} if "token" in OPTIONS else {}
given_up: list[str] = []
taken: dict[str, list[Any]] = {}
nodes: dict[str, Any] = {}


@callback
async def add(a: Any, b: Any) -> Any:
    """Add."""
    return a + b


@callback
async def echo(value: Any) -> Any:
    """Return what came."""
    return value


@callback
async def arguments(*args: Any, **kwargs: Any) -> Any:
    """Return all that came."""
    return [list(args), kwargs]


@callback
async def kind(value: Any) -> str:
    """The name of the type that it is here."""
    return type(value).__name__


@callback
async def unreadable(what: str) -> Any:
    """Return what Python's MessagePack can say, and objects of JavaScript can't."""
    return {None: 1, (1, 2): 3} if what == "keys" else {"__proto__": 1}


@callback
async def caller() -> str:
    """Who calls."""
    return current_call().caller


@callback
async def fail(text: str) -> None:
    """Raise."""
    raise ValueError(text)


@callback
async def wait(key: str, seconds: float = 600) -> str:
    """Take long, and remember who gave it up."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        given_up.append(key)
        raise
    return key


@callback
async def was_given_up(key: str) -> bool:
    """Wait until that call was cancelled."""
    while key not in given_up:
        await asyncio.sleep(0.005)
    return True


@callback
async def blob(size: int) -> bytes:
    """So many bytes."""
    return bytes(range(256)) * (size // 256) + bytes(range(size % 256))


@callback
async def take(item: Any) -> None:
    """One item of a stream: a key and a value. For the key "failing", 13 is refused."""
    key, value = item.values() if isinstance(item, dict) else ("raw", item)
    if key == "failing" and value == 13:
        raise ValueError("thirteen")
    taken.setdefault(key, []).append(value)


@callback
async def took(key: str, count: int = 0) -> Any:
    """What was taken, once that many are there."""
    while len(taken.get(key, ())) < count:
        await asyncio.sleep(0.005)
    return [len(value) if isinstance(value, bytes) else value for value in taken.get(key, [])]


@callback
async def call(name: str, function: str, args: list[Any], options: dict[str, Any]) -> Any:
    """Call somebody else; what it raises as type, text and traceback."""
    kwargs = options.pop("kwargs", {})
    conn = nodes["conn"]
    try:
        return await getattr(conn.rpc(receiver=name, **options), function)(*args, **kwargs)
    except Exception as error:
        return [type(error).__name__, str(error), getattr(error, "remote_traceback", "")]


@callback
async def pour(name: str, function: str, count: int, acknowledged: bool) -> Any:
    """Send numbers as a stream."""
    conn = nodes["conn"]
    style = conn.stream if acknowledged else conn.stream_nowait
    try:
        await getattr(style(receiver=name, serde="json"), function)(range(count))
    except Exception as error:
        return [type(error).__name__, str(error)]
    return "sent"


async def start(port: int) -> None:
    """Start the server, and with a Router two workers, which come back by themselves."""
    kind = AsyncService if TOPOLOGY == "service" else AsyncRouter
    nodes["server"] = kind("server", port=port, **OPTIONS)
    await nodes["server"].start()
    if TOPOLOGY == "router" and "worker" not in nodes:
        nodes["worker"] = AsyncClient("worker", port=nodes["server"].port, **ACCESS)
        nodes["conn"] = await nodes["worker"].connect()
        port = nodes["server"].port
        nodes["second"] = AsyncClient("second", port=port, expose=[add, fail], **ACCESS)
        await nodes["second"].connect()


async def main() -> None:
    """Do as told."""
    await start(OPTIONS.pop("port", 0))
    port = nodes["server"].port
    print("ready", port, flush=True)
    while command := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if command == "stop":
            await nodes["server"].stop()
        elif command == "start":
            await start(port)
        print("done", flush=True)
    for node in reversed(nodes.values()):
        if hasattr(node, "stop"):
            await node.stop()


asyncio.run(main())

"""What the asyncio workers and the asyncio Service of the soak offer.

Lives here: the functions of `bench.soak.callbacks`, most of them as coroutine functions; those
that are plain run on threads. What coroutines touch needs no lock. Imported by processes that
serve only. Imports daffi only.
"""

import asyncio
import time
from collections import Counter
from typing import Any

from daffi import callback, current_call

_ledgers: Counter[str] = Counter()
_flows: dict[str, int] = {}
_out_of_order: set[str] = set()

# Set by the worker's role: what `nested` calls through.
outward: Any = None


@callback
async def reflect(token: str, payload: Any) -> list[Any]:
    """Give back what came."""
    return [token, payload]


@callback
def mirror(value: bytes) -> bytes:
    """Give back what came, in one piece."""
    return value


@callback
async def nested(token: str) -> list[Any]:
    """Ask another worker, and the caller itself, both at once, before answering."""
    there = outward.rpc(timeout=30).reflect(token, None)
    back = outward.rpc(timeout=30, receiver=current_call().caller).come_back(token)
    (reflected, _), returned = await asyncio.gather(there, back)
    return [token, reflected, returned]


@callback
async def fail(token: str) -> None:
    """Raise, with the token."""
    raise ValueError(token)


@callback
async def linger(seconds: float) -> None:
    """Wait, in a way that can be cancelled."""
    await asyncio.sleep(seconds)


@callback
def pause(seconds: float) -> None:
    """Wait, in a way that can't."""
    time.sleep(seconds)


@callback
async def enter(ledger: str) -> None:
    """Count one arrival in a ledger."""
    _ledgers[ledger] += 1


@callback
async def entered(ledger: str) -> int:
    """How many arrived in a ledger so far."""
    return _ledgers[ledger]


@callback
async def flow(item: bytes) -> None:
    """One item of a stream, `name:number:padding`; numbers must come in order."""
    name, number, _ = item.split(b":", 2)
    key = name.decode()
    if _flows.get(key, 0) != int(number):
        _out_of_order.add(key)
    _flows[key] = _flows.get(key, 0) + 1


@callback
async def flowed(name: str, count: int) -> str:
    """How a stream went: "" if not all have come, "in order" or "out of order" once they have.

    Forgets the stream once they have.
    """
    if _flows.get(name, 0) < count:
        return ""
    came = _flows.pop(name)
    if name in _out_of_order or came != count:
        _out_of_order.discard(name)
        return f"out of order, {came} of {count}"
    return "in order"

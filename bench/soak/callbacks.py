"""What the soak's workers and its Service offer.

Lives here: callbacks, each of which says in its answer whom it answers, so that an answer
given to the wrong call is seen; and the ledgers that count what nobody waits for. Imported by
processes that serve only. Imports daffi only.
"""

import asyncio
import threading
import time
from collections import Counter
from typing import Any

from daffi import callback, current_call

_lock = threading.Lock()
_ledgers: Counter[str] = Counter()
_flows: dict[str, int] = {}
_out_of_order: set[str] = set()

# Set by the worker's role: what `nested` calls through.
outward: Any = None


@callback
def reflect(token: str, payload: Any) -> list[Any]:
    """Give back what came."""
    return [token, payload]


@callback
def mirror(value: bytes) -> bytes:
    """Give back what came, in one piece."""
    return value


@callback
def nested(token: str) -> list[Any]:
    """Ask another worker, and the caller itself, before answering."""
    caller = current_call().caller
    there = outward.rpc(timeout=30).reflect(token, None)[0]
    back = outward.rpc(timeout=30, receiver=caller).come_back(token)
    return [token, there, back]


@callback
def fail(token: str) -> None:
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
def enter(ledger: str) -> None:
    """Count one arrival in a ledger."""
    with _lock:
        _ledgers[ledger] += 1


@callback
def entered(ledger: str) -> int:
    """How many arrived in a ledger so far."""
    with _lock:
        return _ledgers[ledger]


@callback
def flow(item: bytes) -> None:
    """One item of a stream, `name:number:padding`; numbers must come in order."""
    name, number, _ = item.split(b":", 2)
    key = name.decode()
    with _lock:
        if _flows.get(key, 0) != int(number):
            _out_of_order.add(key)
        _flows[key] = _flows.get(key, 0) + 1


@callback
def flowed(name: str, count: int) -> str:
    """How a stream went: "" if not all have come, "in order" or "out of order" once they have.

    Forgets the stream once they have.
    """
    with _lock:
        if _flows.get(name, 0) < count:
            return ""
        came = _flows.pop(name)
        if name in _out_of_order or came != count:
            _out_of_order.discard(name)
            return f"out of order, {came} of {count}"
        return "in order"

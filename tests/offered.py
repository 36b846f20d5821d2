"""Plain callbacks that many tests call, in the test's own process and in programs.

Nothing here keeps state between calls or prints. Imports `daffi` and the standard library.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from typing import Any

from daffi import callback, current_call


@callback
def add(a: Any, b: Any = 0) -> Any:
    """The sum of two values."""
    return a + b


@callback
async def add_async(a: Any, b: Any = 0) -> Any:
    """The sum of two values, from a coroutine."""
    return a + b


@callback
def echo(value: Any) -> Any:
    """What came."""
    return value


@callback
def every(*args: Any, **kwargs: Any) -> Any:
    """All arguments."""
    return [list(args), kwargs]


@callback
def nothing(*_: Any) -> None:
    """No result."""


@callback
def thread_id() -> int:
    """The thread that runs it: with `workers=1`, which node of a process."""
    return threading.get_ident()


@callback
def process_id() -> int:
    """The process that runs it."""
    return os.getpid()


@callback
def about_call() -> dict[str, Any]:
    """What `current_call()` says."""
    call = current_call()
    return {
        "caller": call.caller,
        "function": call.function,
        "deadline": call.deadline,
        "headers": dict(call.headers),
        "serde": int(call.serde),
    }


@callback
def nap(seconds: float) -> float:
    """Sleep with the GIL released."""
    time.sleep(seconds)
    return seconds


@callback
def late(seconds: float, size: int) -> bytes:
    """So many zero bytes, after a while."""
    time.sleep(seconds)
    return bytes(size)


@callback
def hold_gil(seconds: float) -> float:
    """Sleep with the GIL held: no Python runs in this process meanwhile."""
    sleep = ctypes.PyDLL(None).usleep
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        sleep(ctypes.c_uint(max(1, int(left * 1_000_000))))
    return seconds


@callback
def die(how: str = "kill") -> None:
    """End this process in mid-call."""
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(10)
    os._exit(3)


@callback
def length(value: Any) -> int:
    """How long a value is."""
    return len(value)

"""A Service whose functions a page calls.

In the first terminal, and `serve.py` of the folder above in a second:

    python 1_service.py [port]

A page is a client like any other. It reaches the same port over WebSocket, and may do so where it
comes from the address that the server listens on; others are named in `allowed_origins`.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import asyncio
import math
import sys

from daffi import Service, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


@callback
def greet(name: str, *, times: int = 1) -> str:
    """Keyword arguments and defaults work as they do in a local call."""
    return ", ".join(["hello"] * times) + f" {name}"


@callback
def factorial(n: int) -> int:
    """Soon an integer that JavaScript's numbers do not hold: it arrives as a BigInt."""
    return math.factorial(n)


@callback
def divide(a: float, b: float) -> float:
    """Raise what Python raises; the page gets its type, its text and the traceback."""
    return a / b


@callback
async def think(seconds: float) -> str:
    """Take a while. A page that gives up cancels this."""
    await asyncio.sleep(seconds)
    return "done thinking"


if __name__ == "__main__":
    service = Service("shop", "127.0.0.1", PORT, workers=4)
    service.start()
    print(f"ready on {service.host}:{service.port}", flush=True)
    service.join()
    print("stopped", flush=True)

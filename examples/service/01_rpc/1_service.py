"""A Service: a server whose functions other processes call.

In the first terminal:

    python 1_service.py [port]

A decorated function can be called from outside; nothing else can. `join()` waits until
Ctrl-C or SIGTERM, lets the calls that are running finish, and returns.

It prints:

    ready on 127.0.0.1:7700
    note from shopper: that was all
    stopped
"""

import sys
import time

from daffi import Service, callback, current_call

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@callback
def price(item: str, *, amount: int = 1, currency: str = "EUR") -> str:
    """Keyword arguments and defaults work as they do in a local call."""
    cents = {"tea": 250, "cake": 420}[item] * amount
    return f"{cents / 100:.2f} {currency}"


@callback
def think(seconds: float) -> str:
    """Take a while."""
    time.sleep(seconds)
    return "done thinking"


@callback
def note(text: str) -> None:
    """Write a line on this terminal, with the name of whoever sent it."""
    print(f"note from {current_call().caller}: {text}", flush=True)


if __name__ == "__main__":
    service = Service("shop", "127.0.0.1", PORT)
    service.start()
    print(f"ready on {service.host}:{service.port}", flush=True)
    service.join()
    print("stopped", flush=True)

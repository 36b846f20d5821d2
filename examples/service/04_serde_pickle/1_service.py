"""PICKLE, the default format: any Python object, functions and classes included.

In the first terminal:

    python 1_service.py [port]

This file knows neither the classes nor the functions that the client sends. Reading a pickle
can run any code, so a node reads one only from a peer that it trusts; on 127.0.0.1 that is
everybody on this machine.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from daffi import Service, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
def apply(function: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    """Run a function that came over the network."""
    return [function(value) for value in values]


@callback
def later(moment: Any, step: Any) -> Any:
    """Works on whatever can be added."""
    return moment + step


@callback
def total(order: Any) -> Any:
    """Uses an object whose class exists only at the client."""
    return sum(order.prices.values())


@callback
def reverse(data: bytearray) -> bytearray:
    """Large buffers travel beside the pickle, not inside it, and arrive writable."""
    data.reverse()
    return data


if __name__ == "__main__":
    service = Service("lab", "127.0.0.1", PORT)
    service.start()
    print(f"ready on {service.host}:{service.port}", flush=True)
    service.join()
    print("stopped", flush=True)

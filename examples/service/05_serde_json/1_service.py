"""JSON: safe from strangers, and readable by every language.

In the first terminal:

    python 1_service.py [port]

`allow_pickle=False` refuses pickles from everybody: this Service can be told data, never code.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import sys
from typing import Any

from daffi import Service, callback, current_call

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
def describe(value: Any, depth: int = 1) -> dict[str, Any]:
    """Say what arrived, and as which type."""
    return {"type": type(value).__name__, "value": value, "depth": depth}


@callback
def which_format() -> str:
    """The reply uses the format of the request."""
    return current_call().serde.name


if __name__ == "__main__":
    service = Service("desk", "127.0.0.1", PORT, allow_pickle=False)
    service.start()
    print(f"ready on {service.host}:{service.port}", flush=True)
    service.join()
    print("stopped", flush=True)

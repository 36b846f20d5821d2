"""MSGPACK: as safe as JSON, smaller, and with room for bytes.

In the first terminal:

    python 1_service.py [port]

Encoding and decoding are built in; there is nothing to install.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import sys
from typing import Any

from daffi import Service, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
def thumbnail(photo: dict[str, Any], size: int) -> dict[str, Any]:
    """Bytes inside a structure: what JSON can't carry."""
    return {"name": photo["name"], "pixels": photo["pixels"][:size]}


@callback
def histogram(values: list[int]) -> dict[int, int]:
    """Keys that are numbers stay numbers."""
    return {value: values.count(value) for value in sorted(set(values))}


if __name__ == "__main__":
    service = Service("studio", "127.0.0.1", PORT, allow_pickle=False)
    service.start()
    print(f"ready on {service.host}:{service.port}", flush=True)
    service.join()
    print("stopped", flush=True)

"""A Service that takes in streams: one call of a callback for each item.

In the first terminal, and `serve.py` of the folder above in a second:

    python 1_service.py [port]

The items of one stream come one at a time and in order. That the callback returned is the
acknowledgement on which the page sends the next.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import hashlib
import sys
from typing import Any

from daffi import Service, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

received = 0
digest = hashlib.sha256()
rows: list[dict[str, Any]] = []


@callback
def upload(chunk: bytes) -> None:
    """Part of a file."""
    global received
    received += len(chunk)
    digest.update(chunk)


@callback
def uploaded() -> dict[str, Any]:
    """What arrived so far, over all uploads."""
    return {"bytes": received, "sha256": digest.hexdigest()[:16]}


@callback
def insert(row: dict[str, Any]) -> None:
    """An exception ends the stream, and is raised in the page."""
    if "id" not in row:
        raise ValueError(f"row {len(rows)} has no id")
    rows.append(row)


@callback
def inserted() -> int:
    """How many rows there are."""
    return len(rows)


if __name__ == "__main__":
    service = Service("archive", "127.0.0.1", PORT)
    service.start()
    print(f"ready on {service.host}:{service.port}", flush=True)
    service.join()
    print("stopped", flush=True)

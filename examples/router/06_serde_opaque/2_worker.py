"""A worker that takes and gives raw bytes.

In the second terminal:

    python 2_worker.py [port]

It prints:

    ready: worker
    stopped
"""

import sys
import zlib

from daffi import Client, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
def echo(data: bytes) -> bytes:
    """There and back."""
    return data


@callback
def checksum(data: bytes) -> str:
    """A short answer to a long message."""
    return f"{zlib.crc32(data):08x}"


@callback
def forget(data: bytes) -> None:
    """None is a reply as well."""


if __name__ == "__main__":
    worker = Client("worker", "127.0.0.1", PORT)
    worker.connect(wait=10)
    print("ready: worker", flush=True)
    worker.join()
    print("stopped", flush=True)

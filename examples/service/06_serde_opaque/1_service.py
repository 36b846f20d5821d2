"""OPAQUE: bytes in, bytes out, and nothing in between looks at them.

In the first terminal:

    python 1_service.py [port]

For what already has a format of its own: images, compressed data, messages of another
protocol. A callback gets one `bytes` (or `str`, where `str` was sent) and may return the
same, or None.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import hashlib
import sys
import zlib

from daffi import Service, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
def compress(data: bytes) -> bytes:
    """Make it smaller."""
    return zlib.compress(data)


@callback
def fingerprint(data: bytes) -> str:
    """The reply may be text."""
    return hashlib.sha256(data).hexdigest()


@callback
def shout(text: str) -> str:
    """`str` arrives as `str`."""
    return text.upper()


@callback
def length(data: bytes) -> int:
    """Wrong for OPAQUE: a number is neither bytes nor text, so such a call fails."""
    return len(data)


if __name__ == "__main__":
    service = Service("press", "127.0.0.1", PORT)
    service.start()
    print(f"ready on {service.host}:{service.port}", flush=True)
    service.join()
    print("stopped", flush=True)

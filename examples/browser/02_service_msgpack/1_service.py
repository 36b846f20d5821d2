"""A Service that makes pictures.

In the first terminal, and `serve.py` of the folder above in a second:

    python 1_service.py [port]

MessagePack carries bytes, which JSON can't; they arrive in the page as a `Uint8Array`.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import hashlib
import sys
from typing import Any

from daffi import Service, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
DEPTH = 48
INSIDE = bytes((18, 22, 34, 255))


def colour(share: float) -> bytes:
    """Red, green, blue, and how opaque: the longer a dot takes to escape, the lighter it is."""
    return bytes((int(250 * share), int(60 + 190 * share**0.6), int(90 + 150 * share**0.4), 255))


SHADES = [colour(step / DEPTH) for step in range(DEPTH)]


def shade(c: complex) -> bytes:
    """The colour of one dot."""
    z = c
    for step in SHADES:
        if z.real * z.real + z.imag * z.imag > 4:
            return step
        z = z * z + c
    return INSIDE


@callback
def mandelbrot(width: int, height: int) -> dict[str, Any]:
    """Four bytes for each dot: red, green, blue, and how opaque it is."""
    scale = 2.6 / height
    rows = (
        b"".join(shade(complex((x - width * 0.68) * scale, y * scale)) for x in range(width))
        for y in (row - height / 2 for row in range(height))
    )
    return {"width": width, "height": height, "pixels": b"".join(rows)}


@callback
def negative(picture: dict[str, Any]) -> dict[str, Any]:
    """The same with its colours turned round; how opaque a dot is stays."""
    pixels = bytearray(value ^ 255 for value in picture["pixels"])
    pixels[3::4] = picture["pixels"][3::4]
    return {**picture, "pixels": pixels}


@callback
def checksum(data: bytes) -> str:
    """For `serde: "raw"`: bytes as they are, and text back."""
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    service = Service("studio", "127.0.0.1", PORT)
    service.start()
    print(f"ready on {service.host}:{service.port}", flush=True)
    service.join()
    print("stopped", flush=True)

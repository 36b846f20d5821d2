"""A caller that sends much there and back: `large.py URL SERDE SIZE [KIND]`.

KIND is `bytes`, `bytearray` or `array`. Prints `right SIZE` when what came back is what was sent,
and `peak BYTES`.
"""

from __future__ import annotations

import sys

import numpy as np
from memory import peak
from telling import say

from daffi import Client


def main() -> None:
    url, serde, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
    block = bytes(range(256)) * 16
    data: bytes | bytearray = block * (size // len(block))
    kind = sys.argv[4] if len(sys.argv) > 4 else "bytes"
    if kind == "bytearray":
        data = bytearray(data)
    sent = np.frombuffer(bytearray(data), np.uint8) if kind == "array" else data
    with Client("large", url=url, expose=()) as conn:
        conn.wait_for_function("echo", timeout=10)
        back = conn.rpc(timeout=50, serde=serde).echo(sent)
        if bytes(back) == data if kind == "array" else back == data:
            say("right", len(back))
    say("peak", peak())


if __name__ == "__main__":
    main()

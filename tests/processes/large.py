"""A caller that sends much there and back: `large.py URL SERDE SIZE [KIND]`, `bytes` or another.

Prints `right SIZE` when what came back is what was sent, and `peak BYTES`.
"""

from __future__ import annotations

import sys

from memory import peak
from telling import say

from daffi import Client


def main() -> None:
    url, serde, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
    block = bytes(range(256)) * 16
    data: bytes | bytearray = block * (size // len(block))
    if sys.argv[4:] == ["bytearray"]:
        data = bytearray(data)
    with Client("large", url=url, expose=()) as conn:
        conn.wait_for_function("echo", timeout=10)
        back = conn.rpc(timeout=50, serde=serde).echo(data)
        if back == data:
            say("right", len(back))
    say("peak", peak())


if __name__ == "__main__":
    main()

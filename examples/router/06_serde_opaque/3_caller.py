"""Sends large bytes through a Router, and small calls past them.

In the third terminal:

    python 3_caller.py [port]

It prints:

    64 MiB there and back: True
    a part of it: True
    nothing back: None
    20 MiB where 16 MiB are allowed: MessageTooLarge
"""

import sys
import zlib

from daffi import Client
from daffi.exceptions import MessageTooLarge

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
MiB = 1024 * 1024

data = bytes(range(256)) * (64 * MiB // 256)

with Client("caller", "127.0.0.1", PORT) as conn:
    conn.wait_for_function("echo", timeout=30)
    call = conn.rpc(timeout=30, serde="opaque")

    print("64 MiB there and back:", call.echo(data) == data)

    # A memoryview names a part without copying it.
    part = memoryview(data)[10 * MiB : 20 * MiB]
    print("a part of it:", call.checksum(part) == f"{zlib.crc32(part):08x}")
    print("nothing back:", call.forget(b"old"))

# `max_message` (1 GiB by default) is checked before anything is sent.
with Client("modest", "127.0.0.1", PORT, max_message=16 * MiB) as conn:
    try:
        conn.rpc(serde="opaque").echo(data[: 20 * MiB])
    except MessageTooLarge as error:
        print("20 MiB where 16 MiB are allowed:", type(error).__name__)

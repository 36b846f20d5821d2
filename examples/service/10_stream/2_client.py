"""Sends more than fits into one call: `stream` and `stream_nowait`.

In the second terminal:

    python 2_client.py [port]

A stream picks its worker once and stays there. The default format is OPAQUE, so that chunks
of a file travel untouched.

It prints:

    a file in 64 chunks: True
    chunk by chunk: True
    rows: 1000
    the stream ended: row 1002 has no id
    rows: 1002
    log sent
"""

import hashlib
import sys
from collections.abc import Iterator

from daffi import Client

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
CHUNK = b"x" * 16384


def chunks(count: int) -> Iterator[bytes]:
    """Made as they are sent: the whole is never in memory."""
    for _ in range(count):
        yield CHUNK


with Client("sender", "127.0.0.1", PORT) as conn:
    # A generator, or any iterable: each item is one call, acknowledged before the next is
    # sent. `timeout` is for each item, not for the whole.
    conn.stream(timeout=5).upload(chunks(64))
    print("a file in 64 chunks:", conn.rpc().uploaded() == hashlib.sha256(CHUNK * 64).hexdigest())

    # A kept proxy takes chunks one by one, and goes to the same worker each time.
    pipe = conn.stream(receiver="archive")
    pipe.upload(b"head")
    pipe.upload(b"tail")
    whole = hashlib.sha256(CHUNK * 64 + b"headtail").hexdigest()
    print("chunk by chunk:", conn.rpc().uploaded() == whole)

    # Items of another kind need another format.
    table = conn.stream(serde="json")
    table.insert({"id": number} for number in range(1000))
    print("rows:", conn.rpc().inserted())

    try:
        table.insert([{"id": 1000}, {"id": 1001}, {"name": "no id"}, {"id": 1003}])
    except ValueError as error:
        print("the stream ended:", error)
    print("rows:", conn.rpc().inserted())

    # Without acknowledgements: faster, and nobody says whether it worked. With the pipe full
    # it waits, so memory stays bounded. OPAQUE carries text as well.
    conn.stream_nowait().log(["one", "two", "three", ""])
    print("log sent")

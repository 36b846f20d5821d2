"""Calls in MSGPACK.

In the second terminal:

    python 2_client.py [port]

It prints:

    thumbnail: {'name': 'sea', 'pixels': b'\\x00\\x01\\x02\\x03'}
    histogram: {1: 2, 5: 1, 9: 3}
    too large for 64 bits: SerializationError
"""

import sys

from daffi import Client
from daffi.exceptions import SerializationError

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

with Client("painter", "127.0.0.1", PORT) as conn:
    call = conn.rpc(timeout=5, serde="msgpack")

    photo = {"name": "sea", "pixels": bytes(range(200))}
    print("thumbnail:", call.thumbnail(photo, size=4))
    print("histogram:", call.histogram([9, 1, 5, 9, 1, 9]))

    # Integers have 64 bits, as they do in JSON here.
    try:
        call.histogram([2**64])
    except SerializationError as error:
        print("too large for 64 bits:", type(error).__name__)

"""Calls in JSON, and what JSON can't say.

In the second terminal:

    python 2_client.py [port]

It prints:

    format: JSON
    a dict: {'type': 'dict', 'value': {'name': 'Ada', 'age': 36}, 'depth': 2}
    a tuple: {'type': 'list', 'value': [1, 2, 3], 'depth': 1}
    not JSON: nan
    not JSON: bytes
    not JSON: a key that is a number
    pickle refused: SerdeNotAllowed
"""

import sys

from daffi import Client, SerdeFormat
from daffi.exceptions import SerdeNotAllowed, SerializationError

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

with Client("clerk", "127.0.0.1", PORT) as conn:
    # The format is named per call, by its member or by its name.
    print("format:", conn.rpc(serde=SerdeFormat.JSON).which_format())

    call = conn.rpc(serde="json")
    print("a dict:", call.describe({"name": "Ada", "age": 36}, depth=2))
    print("a tuple:", call.describe((1, 2, 3)))

    # What has no place in JSON is an error here, whose text names the place; nothing is sent.
    for what, value in {
        "nan": [1.0, float("nan")],
        "bytes": {"photo": b"\xff\xd8"},
        "a key that is a number": {1: "one"},
    }.items():
        try:
            call.describe(value)
        except SerializationError:
            print("not JSON:", what)

    try:
        conn.rpc(serde="pickle").describe("hello")
    except SerdeNotAllowed as error:
        print("pickle refused:", type(error).__name__)

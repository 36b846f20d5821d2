"""Sends bytes and text untouched.

In the second terminal:

    python 2_client.py [port]

It prints:

    1000000 bytes became fewer: True
    fingerprint: 9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0
    middle: 961b6dd3ede3cb8ecbaacbd68de040cd78eb2ed5889130cceb4c49268ea4d506
    text: GOOD MORNING
    two arguments: TypeError
    a number: TypeError
    a result that is no bytes: SerializationError
"""

import sys
import zlib

from daffi import Client
from daffi.exceptions import SerializationError

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

with Client("printer", "127.0.0.1", PORT) as conn:
    call = conn.rpc(serde="opaque")

    page = b"a" * 1_000_000
    small = call.compress(page)
    print(f"{len(page)} bytes became fewer:", zlib.decompress(small) == page)

    # `bytes`, `bytearray` and `memoryview` are sent from where they are, without a copy.
    print("fingerprint:", call.fingerprint(bytearray(b"aaa")))
    print("middle:", call.fingerprint(memoryview(page)[500_000:500_002]))
    print("text:", call.shout("Good morning"))

    # Exactly one positional argument, of those types; anything else is refused right here.
    for what, arguments in {"two arguments": (b"a", b"b"), "a number": (7,)}.items():
        try:
            call.compress(*arguments)
        except TypeError as error:
            print(f"{what}: {type(error).__name__}")

    try:
        call.length(page)
    except SerializationError as error:
        print("a result that is no bytes:", type(error).__name__)

"""Calls methods that live in a class of `1_service.py`.

In the second terminal:

    python 2_client.py [port]

Methods are called by their names alone; the object stays where it is and keeps its state.

It prints:

    keys: ['colour', 'shape']
    colour: blue
    limits: {'keys': 1000}
    balance: 150
    area: 12.0
    not offered: clear, secret, _sorted
"""

import sys

from daffi import Client
from daffi.exceptions import TransmissionFailure

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

with Client("visitor", "127.0.0.1", PORT) as conn:
    call = conn.rpc(timeout=5)

    call.write("shape", "round")
    call.write("colour", value="blue")
    print("keys:", call.keys())
    print("colour:", call.read("colour"))
    print("limits:", call.limits())

    call.deposit(20)
    call.deposit(30)
    print("balance:", call.total())

    print("area:", call.area(3.0, height=4.0))

    refused = []
    for name in ("clear", "secret", "_sorted"):
        try:
            getattr(call, name)()
        except TransmissionFailure:  # nobody offers it
            refused.append(name)
        except AttributeError:  # a private name is not even asked for
            refused.append(name)
    print("not offered:", ", ".join(refused))

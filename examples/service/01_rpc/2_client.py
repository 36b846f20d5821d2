"""A Client that calls the functions of `1_service.py`.

In the second terminal:

    python 2_client.py [port]

It shows `rpc` and `rpc_nowait` with their options, and what a failure looks like.

It prints:

    add: 7
    price: 5.00 EUR, 4.20 USD
    add once more: 30
    too slow: CallTimeout
    the function raised: KeyError ('soup',)
    in shop: KeyError: 'soup'
    nobody has it: TransmissionFailure
    note sent
"""

import sys

from daffi import Client
from daffi.exceptions import CallTimeout, RemoteCallError, TransmissionFailure

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

# `wait=10`: keep trying for ten seconds, should the service not be up yet.
client = Client("shopper", "127.0.0.1", PORT)
conn = client.connect(wait=10)

# Attribute access names the remote function; the call returns its result.
print("add:", conn.rpc().add(3, 4))
print(f"price: {conn.rpc().price('tea', amount=2)}, {conn.rpc().price('cake', currency='USD')}")

# What rpc() returns holds the options, and may be kept and used from any thread.
# `receiver` names who is to run it; with a Service there is only one.
shop = conn.rpc(timeout=5, receiver="shop")
print("add once more:", shop.add(10, 20))

# `timeout` is in seconds; without it a call waits for ever.
try:
    conn.rpc(timeout=0.1).think(0.5)
except CallTimeout as error:
    print("too slow:", type(error).__name__)

# An exception of the function arrives here as its own type, ...
try:
    shop.price("soup")
except KeyError as error:
    print("the function raised: KeyError", error.args)

# ... and as a RemoteCallError, which knows where it happened. Uncaught, it prints the remote
# traceback as well.
try:
    shop.price("soup")
except RemoteCallError as error:
    print(f"in {error.worker}: {error.remote_traceback.strip().splitlines()[-1]}")

try:
    shop.fly()
except TransmissionFailure as error:  # its text lists who is there and what they offer
    print("nobody has it:", type(error).__name__)

# Sent, and not waited for. stop() sees to it that nothing which was sent is lost.
conn.rpc_nowait().note("that was all")
print("note sent")
client.stop()

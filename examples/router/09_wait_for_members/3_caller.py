"""A caller that starts first and waits for the others.

In any terminal, at any time:

    python 3_caller.py [port]

Waiting is not polling: the Router says so when somebody comes.

It prints:

    waiting for left and right
    not here yet: TimeoutError
    both are here
    hands: ['left', 'right']
    somebody offers hand
"""

import sys

from daffi import Client

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

client = Client("caller", "127.0.0.1", PORT)
conn = client.connect(wait=60)
print("waiting for left and right", flush=True)

# `timeout` in seconds; without it, it waits for ever.
try:
    conn.wait_for_members("nobody", timeout=0.1)
except TimeoutError as error:
    print("not here yet:", type(error).__name__, flush=True)

conn.wait_for_members("left", "right", timeout=60)
print("both are here")
print("hands:", sorted(conn.cast(timeout=5).hand().values()))

# The same by what is offered, whoever offers it.
conn.wait_for_function("hand", timeout=5)
print("somebody offers hand")
client.stop()

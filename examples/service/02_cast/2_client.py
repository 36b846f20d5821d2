"""Casting to a Service: `{name: result}` instead of a bare result.

In the second terminal:

    python 2_client.py [port]

A cast goes to everybody who offers the function. With a Service that is one; the same lines
reach any number of workers once there is a Router (see `examples/router/02_cast`). What a
cast does not do is raise when the function did: one failure must not hide other answers.

It prints:

    everybody: {'weather': 4.5}
    by name: {'weather': 18.0}
    weather does not know that city
    refresh sent
"""

import sys

from daffi import Client

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

with Client("tourist", "127.0.0.1", PORT) as conn:
    # `timeout` is for the whole cast, not for each worker.
    print("everybody:", conn.cast(timeout=5).temperature("Oslo"))

    # `receiver` picks by name: one name, or a list of them.
    print("by name:", conn.cast(receiver=["weather"]).temperature("Rome"))

    # Exceptions are values.
    for worker, outcome in conn.cast().temperature("Atlantis").items():
        if isinstance(outcome, KeyError):
            print(f"{worker} does not know that city")

    conn.cast_nowait().refresh("eu")
    print("refresh sent")

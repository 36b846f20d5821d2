"""A caller that is killed in mid-call: `doomed.py URL KEY`.

One call waits at the gate with that key and two more are queued behind it. Prints `ready`.
"""

from __future__ import annotations

import sys
import threading

from telling import say

from daffi import Client


def main() -> None:
    url, key = sys.argv[1], int(sys.argv[2])
    client = Client("doomed", url=url, expose=())
    conn = client.connect()
    for _ in range(3):
        threading.Thread(target=conn.rpc(timeout=60).hold_async, args=(key,), daemon=True).start()
    say("ready")
    threading.Event().wait(60)


if __name__ == "__main__":
    main()

"""A program that is waiting when Ctrl-C comes: `interrupted.py MODE URL KEY`.

Prints `ready`, then `interrupted TIME` or `returned TIME` (the clock of `time.monotonic()`,
which all processes share). Told a line, it makes one more call and prints `again` and its result.
"""

from __future__ import annotations

import itertools
import sys
import time
from typing import Any

from telling import say, say_in_join

from daffi import Client


def wait(mode: str, client: Client, conn: Any, key: int) -> None:
    """Wait in the way that is asked for."""
    if mode == "connect":
        client.connect(wait=60)
    elif mode == "rpc":
        conn.rpc().hold_async(key)
    elif mode == "rpc-timeout":
        conn.rpc(timeout=60).hold_async(key)
    elif mode == "cast":
        conn.cast().hold_async(key)
    elif mode == "stream":
        conn.stream(serde="PICKLE").hold_async(key for _ in itertools.count())
    elif mode == "members":
        conn.wait_for_members("nobody", timeout=60)
    elif mode == "function":
        conn.wait_for_function("nothing_like_it", timeout=60)
    elif mode == "full":
        send = conn.rpc_nowait().hold
        while True:
            send(key)
    elif mode == "gone":
        while client.stats()["connections"]:
            time.sleep(0.01)
        say("gone")
        conn.rpc(timeout=60).add(1, 2)
    elif mode == "join":
        client.join()


def main() -> None:
    mode, url, key = sys.argv[1], sys.argv[2], int(sys.argv[3])
    client = Client("interrupted", url=url, expose=())
    conn: Any = None if mode == "connect" else client.connect()
    if mode == "join":
        say_in_join("ready")
    else:
        say("ready")
    try:
        wait(mode, client, conn, key)
    except KeyboardInterrupt:
        say("interrupted", time.monotonic())
    else:
        say("returned", time.monotonic())
    if mode not in ("connect", "gone", "join"):
        sys.stdin.readline()
        say("again", conn.rpc(timeout=30).add(1, 2))
    client.stop()


if __name__ == "__main__":
    main()

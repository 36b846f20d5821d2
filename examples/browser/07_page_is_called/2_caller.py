"""Calls the functions of a page.

In the second terminal; it waits until the page is open:

    python 2_caller.py [port]

A page reads JSON, MessagePack and bytes, but no pickles: a call of a page names its format.

It prints:

    waiting for the page
    drawn: 200 points
    the page fails: RangeError: there is no cookie session
    asked, and did not wait: CallTimeout
    your name is ...
"""

import math
import sys

from daffi import Client
from daffi.exceptions import CallTimeout, RemoteCallError

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

with Client("python", "127.0.0.1", PORT) as conn:
    print("waiting for the page", flush=True)
    conn.wait_for_members("page", timeout=600)
    page = conn.rpc(receiver="page", serde="json")

    wave = [(8 + 1.5 * x, 80 + 60 * math.sin(x / 16) * math.cos(x / 50)) for x in range(200)]
    print("drawn:", page.draw(wave, colour="#2f6f6a"), "points", flush=True)

    # An exception of JavaScript arrives with its own name, and its stack as the traceback.
    try:
        page.cookie("session")
    except RemoteCallError as error:
        print("the page fails:", error, flush=True)

    # The timeout reaches the page, which takes its question back.
    try:
        conn.rpc(receiver="page", serde="json", timeout=0.5).ask("Quick, what is your name?")
    except CallTimeout as error:
        print("asked, and did not wait:", type(error).__name__, flush=True)

    print("your name is", page.ask("What is your name?"), flush=True)

"""Calls over a Unix socket, named by path or by URL.

In the second terminal:

    python 2_client.py [path]

It prints:

    mode of the socket: 0o600
    by path: another process
    by URL: the same process
"""

import os
import stat
import sys
from pathlib import Path

from daffi import Client

PATH = Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp/daffi-example.sock").absolute()

with Client("neighbour", unix_sock_path=PATH) as conn:
    print("mode of the socket:", oct(stat.S_IMODE(PATH.stat().st_mode)))
    first = conn.rpc().process_id()
    print("by path:", "this process" if first == os.getpid() else "another process")

# Where nothing is given at all, a Client takes the URL in the environment's DAFFI_URL.
with Client(url=f"unix://{PATH}") as conn:
    second = conn.rpc().process_id()
    print("by URL:", "the same process" if second == first else "another process")

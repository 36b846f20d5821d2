"""A Service on a Unix socket: for processes of one machine, with no port to choose.

In the first terminal:

    python 1_service.py [path]

The socket belongs to the user who started the Service, and nobody else can open it. A file
that a crashed Service left behind is replaced; any other file on the path is left alone, and
starting fails.

It prints:

    ready on /tmp/daffi-example.sock
    stopped
"""

import os
import sys

from daffi import Service, callback

PATH = sys.argv[1] if len(sys.argv) > 1 else "/tmp/daffi-example.sock"


@callback
def process_id() -> int:
    """The number of the process that runs this."""
    return os.getpid()


if __name__ == "__main__":
    service = Service("local", unix_sock_path=PATH)
    service.start()
    print(f"ready on {PATH}", flush=True)
    service.join()
    print("stopped", flush=True)

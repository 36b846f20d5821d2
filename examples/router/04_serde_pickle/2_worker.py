"""A worker that runs whatever it is sent.

In the second terminal:

    python 2_worker.py [port]

That is what PICKLE means, and why it is only read from a peer that is trusted.

It prints:

    ready: worker
    stopped
"""

import sys
from collections.abc import Callable
from typing import Any

from daffi import Client, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
def run(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function that came over the network."""
    return function(*args, **kwargs)


if __name__ == "__main__":
    worker = Client("worker", "127.0.0.1", PORT)
    worker.connect(wait=10)
    print("ready: worker", flush=True)
    worker.join()
    print("stopped", flush=True)

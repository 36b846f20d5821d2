"""The Router of the demo: `python router.py` prints the port that it got.

It ends when its standard input does, so that it never outlives the demo.
"""

import os
import threading

from daffi import Router


def stop_with_parent() -> None:
    """The read returns when whoever started this has closed the pipe, or is gone."""
    os.read(0, 1)
    router.stop()


router = Router("router")
router.start()
threading.Thread(target=stop_with_parent, daemon=True).start()
print(router.port, flush=True)
router.join()

"""Prints which modules `import daffi`, and a plain call, import without need."""

from __future__ import annotations

import sys

import daffi

HEAVY = {"asyncio", "trio", "ssl", "cloudpickle", "numpy"}

found = HEAVY & set(sys.modules)
service = daffi.Service("server", expose=())
service.start()
with daffi.Client("caller", port=service.port, expose=()) as conn:
    conn.members()
service.stop()
found |= {name for name in ("cloudpickle", "ssl", "trio") if name in sys.modules}
sys.stdout.write(" ".join(sorted(found)) + "\n")

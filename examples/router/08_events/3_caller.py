"""A caller that watches the others.

In the third terminal:

    python 3_caller.py [port]

It prints:

    here already: router, worker
    and they offer: go_home
    worker says: bye
    gone: worker
    members now: caller
"""

import queue
import sys

from daffi import Client

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

came: queue.Queue[str] = queue.Queue()
went: queue.Queue[str] = queue.Queue()

client = Client("caller", "127.0.0.1", PORT)
client.on_member_added(came.put)


@client.on_member_removed
def removed(name: str) -> None:
    """Also called for the Router itself, should the connection to it be lost."""
    went.put(name)


conn = client.connect()

# Everybody who is there already counts as an arrival, the Router included.
print("here already:", ", ".join(sorted(came.get(timeout=10) for _ in range(2))))
offered = [function for member in conn.members() for function in member.functions]
print("and they offer:", ", ".join(offered))

print("worker says:", conn.rpc(timeout=10).go_home())
print("gone:", went.get(timeout=10))
print("members now:", ", ".join(sorted(member.name for member in conn.members())))
client.stop()

"""A Client that hears the same: who is there already, who comes, who goes.

In the second terminal:

    python 2_client.py [port]

It prints:

    connected: house
    members: house, watcher
    connected: guest
    members: guest, house, watcher
    gone: guest
"""

import queue
import sys

from daffi import Client

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700

arrived: queue.Queue[str] = queue.Queue()
left: queue.Queue[str] = queue.Queue()


def members() -> str:
    """Everybody on this network, asked of the server."""
    return ", ".join(sorted(member.name for member in watcher.members()))


watcher = Client("watcher", "127.0.0.1", PORT)
watcher.on_member_added(arrived.put)
watcher.on_member_removed(left.put)
watcher.connect()

# A new Client first hears of everybody who is there already, the server included.
print("connected:", arrived.get(timeout=10))
print("members:", members())

guest = Client("guest", "127.0.0.1", PORT)
guest.connect()
print("connected:", arrived.get(timeout=10))
print("members:", members())

guest.stop()
print("gone:", left.get(timeout=10))
watcher.stop()

"""A server of any world as a process of its own: `mixed.py WORLD service|router`.

With a router runs its one worker, a client named `worker`, so that callbacks can call on. Prints
`ready URL`; ends when its input does. Offers what is in `offered`, `mixing` and `telling`.
"""

from __future__ import annotations

import sys
import threading

import mixing
import offered  # noqa: F401 - registers
from loops import Flag
from telling import say
from worlds import WORLDS, World


async def serve(world: World, role: str) -> None:
    server = world.Service("worker") if role == "service" else world.Router("server")
    await world.call(server.start)
    url = f"tcp://127.0.0.1:{server.port}"
    name, expose = ("inner", ()) if role == "service" else ("worker", None)
    client = world.Client(name, url=url, expose=expose)
    mixing.reached["worker"] = await world.call(client.connect)
    say("ready", url)
    over = Flag()

    def watch() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=watch, daemon=True).start()
    while not await over.wait_here(60):
        continue
    await world.call(client.stop)
    await world.call(server.stop)
    say("left")


def main() -> None:
    world = WORLDS[sys.argv[1]]()
    world.run(lambda: serve(world, sys.argv[2]))


if __name__ == "__main__":
    main()

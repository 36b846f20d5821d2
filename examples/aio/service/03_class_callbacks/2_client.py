"""Calls methods that live in a class of `1_service.py`.

In the second terminal:

    python 2_client.py [port]

Methods are called by their names alone; the object stays where it is and keeps its state.

It prints:

    seats: [True, True, False]
    bids: [True, True, False]
    best: (20, 'ben')
    somebody bade 50: carla
    certificate: ...
    not offered: wait_until, wake
"""

import asyncio
import sys

from daffi.aio import AsyncClient
from daffi.exceptions import TransmissionFailure

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    async with AsyncClient("bidder", "127.0.0.1", PORT) as conn:
        call = conn.rpc(timeout=10)
        print("seats:", await asyncio.gather(*(call.take_seat() for _ in range(3))))

        # Small calls of one connection to one worker arrive in the order in which they are made.
        bids = [call.bid("anna", 10), call.bid("ben", 20), call.bid("anna", 15)]
        print("bids:", await asyncio.gather(*bids))
        print("best:", await call.best())

        # A call that waits for something to happen costs neither side a thread.
        waiting = call.wait_for(50)
        await call.bid("carla", 50)
        print("somebody bade 50:", await waiting)
        print("certificate:", await call.certificate("carla"))

        refused = []
        for name in ("wait_until", "wake"):
            try:
                await getattr(call, name)()
            except TransmissionFailure:  # nobody offers it
                refused.append(name)
        print("not offered:", ", ".join(refused))


asyncio.run(main())

"""Casting to a Service: `{name: result}` instead of a bare result.

In the second terminal:

    python 2_client.py [port]

With a Service there is one answer; the same lines reach any number of workers once there is a
Router (see `examples/aio/router/02_cast`). A cast does not raise when the function did.

It prints:

    Oslo: {'weather': 4.5}
    Rome: {'weather': 18.0}
    weather does not know Atlantis
    refresh sent
"""

import asyncio
import sys

from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    async with AsyncClient("tourist", "127.0.0.1", PORT) as conn:
        cities = ["Oslo", "Rome", "Atlantis"]
        # `timeout` is for the whole cast, not for each worker.
        answers = await asyncio.gather(*(conn.cast(timeout=5).temperature(c) for c in cities))
        for city, by_worker in zip(cities, answers, strict=True):
            if isinstance(by_worker["weather"], KeyError):  # exceptions are values
                print("weather does not know", city)
            else:
                print(f"{city}: {by_worker}")

        # Sent whether it is awaited or not; awaiting it waits while the pipe is full.
        conn.cast_nowait().refresh("eu")
        await conn.cast_nowait(receiver=["weather"]).refresh("us")
        print("refresh sent")


asyncio.run(main())

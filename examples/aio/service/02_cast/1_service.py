"""An asyncio Service for `cast`: a call whose answer says who gave it.

In the first terminal:

    python 1_service.py [port] [name]

It prints:

    ready on 127.0.0.1:7700
    refreshing eu
    refreshing us
    stopped
"""

import asyncio
import sys

from daffi import callback
from daffi.aio import AsyncService

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
NAME = sys.argv[2] if len(sys.argv) > 2 else "weather"


@callback
async def temperature(city: str) -> float:
    """Degrees Celsius."""
    return {"Oslo": 4.5, "Rome": 18.0}[city]


@callback
async def refresh(region: str) -> None:
    """Write a line on this terminal."""
    print(f"refreshing {region}", flush=True)


async def main() -> None:
    async with AsyncService(NAME, "127.0.0.1", PORT) as service:
        print(f"ready on {service.host}:{service.port}", flush=True)
        await service.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

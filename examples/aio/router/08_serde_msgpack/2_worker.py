"""A worker for MSGPACK that keeps the last readings of some sensors.

In two terminals:

    python 2_worker.py [port] [name]

It prints:

    ready: ...
    stopped
"""

import asyncio
import sys

from daffi import callback
from daffi.aio import AsyncClient

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
NAME = sys.argv[2] if len(sys.argv) > 2 else "north"

readings: dict[int, list[float]] = {}


@callback
async def record(sensor: int, values: list[float], raw: bytes = b"") -> int:
    """Bytes travel beside numbers; says how many bytes came."""
    readings.setdefault(sensor, []).extend(values)
    return len(raw)


@callback
async def averages() -> dict[int, float]:
    """By the number of the sensor."""
    return {sensor: sum(values) / len(values) for sensor, values in readings.items()}


async def main() -> None:
    worker = AsyncClient(NAME, "127.0.0.1", PORT)
    await worker.connect(wait=10)
    print(f"ready: {NAME}", flush=True)
    await worker.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

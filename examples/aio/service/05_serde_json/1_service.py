"""JSON: for data from anybody.

In the first terminal:

    python 1_service.py [port]

`allow_pickle=False` refuses pickles from everybody: this Service can be told data, never code.

It prints:

    ready on 127.0.0.1:7700
    stopped
"""

import asyncio
import sys
from typing import Any

from daffi import callback, current_call
from daffi.aio import AsyncService

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


@callback
async def describe(value: Any, depth: int = 1) -> dict[str, Any]:
    """Say what arrived, and as which type."""
    return {"type": type(value).__name__, "value": value, "depth": depth}


@callback
async def which_format() -> str:
    """The reply uses the format of the request. Context variables belong to one call."""
    await asyncio.sleep(0)
    return current_call().serde.name


async def main() -> None:
    async with AsyncService("desk", "127.0.0.1", PORT, allow_pickle=False) as service:
        print(f"ready on {service.host}:{service.port}", flush=True)
        await service.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

"""Calls in JSON through a Router that refuses pickles.

In the third terminal:

    python 3_caller.py [port]

It prints:

    bills: 6.03, 2.5
    from everybody: {'worker': {'total': 2.5, 'paid': False, 'note': None}}
    a result that is not JSON: SerializationError
    pickle: SerdeNotAllowed
"""

import asyncio
import sys

from daffi import SerdeFormat
from daffi.aio import AsyncClient
from daffi.exceptions import SerdeNotAllowed, SerializationError

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


async def main() -> None:
    async with AsyncClient("caller", "127.0.0.1", PORT) as conn:
        await conn.wait_for_function("bill", timeout=30)
        call = conn.rpc(timeout=5, serde=SerdeFormat.JSON)

        items = [{"name": "tea", "price": 2.5}, {"name": "cake", "price": 2.1, "amount": 2}]
        both = await asyncio.gather(call.bill(items, discount=0.1), call.bill(items[:1]))
        print("bills:", ", ".join(str(bill["total"]) for bill in both))

        # Every style takes `serde`.
        print("from everybody:", await conn.cast(serde="json").bill(items[:1]))

        try:
            await call.broken()
        except SerializationError as error:  # here the function did run
            print("a result that is not JSON:", type(error).__name__)

        try:
            await conn.rpc().bill(items)  # PICKLE is the default
        except SerdeNotAllowed as error:
            print("pickle:", type(error).__name__)


asyncio.run(main())

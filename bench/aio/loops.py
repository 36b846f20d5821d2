"""Running a coroutine on the loop that the order asks for.

Lives here: asyncio's own loop or uvloop's. Imports nothing of ours.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Order = dict[str, Any]


def kind(order: Order) -> type[asyncio.AbstractEventLoop]:
    """The class of loop."""
    if order.get("uvloop"):
        import uvloop

        # With uvloop installed mypy knows the class, without it mypy knows nothing.
        return uvloop.Loop  # type: ignore[no-any-return, unused-ignore]
    return asyncio.SelectorEventLoop


def run(
    order: Order,
    main: Callable[[Order], Coroutine[Any, Any, None]],
    loop: asyncio.AbstractEventLoop | None = None,
) -> None:
    """Run `main(order)` to its end, on a loop of the kind that the order asks for."""
    loop = loop or kind(order)()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main(order))
    finally:
        asyncio.set_event_loop(None)
        loop.close()

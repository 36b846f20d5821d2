"""Trio's own runner for what is Trio's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

Run = Callable[..., Any]


@pytest.fixture
def run() -> Run:
    """Run an async function in Trio; `TooSlowError` when it hangs."""

    def run(body: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        async def bounded() -> Any:
            with trio.fail_after(30):
                return await body(*args)

        return trio.run(bounded)

    return run

"""A server, a worker and a caller in the test's own loop, for what is asyncio's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from places import Place


@pytest.fixture(params=["service", "router"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Nodes that are up; `@pytest.mark.site(worker={...})` gives options."""
    mark = request.node.get_closest_marker("site")
    async with Place(request.param, **(mark.kwargs if mark else {})) as made:
        yield made

"""What Trio expects: scopes, levels, checkpoints, nurseries, runs that end."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing
from gates import Gate, gate_of
from gauges import busy
from programs import Programs

import daffi
from daffi import callback
from daffi.exceptions import CallTimeout
from daffi.trio import AsyncClient, AsyncClientConnection, AsyncService

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

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


@callback
async def trio_stubborn(key: int, *_: Any) -> None:
    """Run until cancelled, and await something, shielded, before the end."""
    gate = gate_of(key)
    gate.enter()
    try:
        await trio.sleep_forever()
    except trio.Cancelled:
        gate.cancelled += 1
        raise
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.05)
        gate.notes.append("cleaned")
        gate.leave()


@callback
async def trio_nursery(key: int) -> None:
    """Wait in a nursery until cancelled."""
    gate = gate_of(key)
    gate.enter()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(trio.sleep_forever)
    finally:
        gate.leave()


@callback
async def trio_add(a: int, b: int) -> int:
    """The sum, from a coroutine."""
    await trio.lowlevel.checkpoint()
    return a + b


@callback
async def trio_raise(text: str) -> None:
    """Fail."""
    raise ValueError(text)


class Here:
    def __init__(
        self, worker: AsyncService, caller: AsyncClient, conn: AsyncClientConnection
    ) -> None:
        self.worker, self.caller, self.conn = worker, caller, conn

    async def until(self, condition: Callable[[], Any]) -> None:
        with trio.fail_after(5):
            while not condition():
                await trio.sleep(0.005)

    async def settled(self) -> None:
        await self.until(lambda: not busy(self.worker, self.caller))


@contextlib.asynccontextmanager
async def nodes(**options: Any) -> AsyncIterator[Here]:
    async with AsyncService(**options) as service:
        client = AsyncClient(port=service.port, expose=())
        async with client as conn:
            yield Here(service, client, conn)


def test_a_scope_reaches_the_worker(run: Run, gate: Gate) -> None:
    async def body() -> None:
        async with nodes() as here:
            for style in (here.conn.rpc(), here.conn.cast(), here.conn.stream(serde="json")):
                with trio.move_on_after(0.2) as scope:
                    await style.trio_stubborn(gate.key)
                assert scope.cancelled_caught
                await here.settled()
            with trio.move_on_after(0.2):
                await here.conn.stream(serde="json").trio_stubborn(iter([gate.key]))
            await here.settled()
            assert gate.cancelled == 4
            assert gate.notes == ["cleaned"] * 4

    run(body)


def test_a_deadline_and_a_nursery_in_the_callback(run: Run, gate: Gate) -> None:
    async def body() -> None:
        async with nodes() as here:
            with pytest.raises(CallTimeout):
                await here.conn.rpc(timeout=0.2).trio_nursery(gate.key)
            await here.settled()
            assert (gate.entered, gate.left) == (1, 1)
            with pytest.raises(CallTimeout) as caught:
                await here.conn.cast(timeout=0.2).trio_nursery(gate.key)
            assert caught.value.partial == {}
            await here.settled()

    run(body)


def test_cancelled_already_it_raises_at_once_and_again(run: Run, gate: Gate) -> None:
    async def body() -> None:
        async with nodes() as here:
            times = 0
            with trio.CancelScope() as scope:
                scope.cancel()
                for _ in range(3):
                    try:
                        await here.conn.rpc().trio_add(1, 2)
                    except trio.Cancelled:
                        times += 1
                await trio.lowlevel.checkpoint()
            assert (times, scope.cancelled_caught) == (3, True)
            await here.settled()
            with trio.CancelScope(shield=True):
                assert await here.conn.rpc().trio_add(1, 2) == 3

    run(body)


def test_what_is_there_already_is_a_checkpoint_too(run: Run) -> None:
    async def body() -> None:
        async with nodes() as here:
            call = here.conn.rpc().trio_add(1, 2)
            await trio.sleep(0.1)  # it has ended
            with trio.testing.assert_checkpoints():
                assert await call == 3

    run(body)


def test_nurseries_take_bound_functions(run: Run, gate: Gate) -> None:
    async def body() -> None:
        async with nodes() as here:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(here.conn.rpc().trio_add, 1, 2)
                nursery.start_soon(here.conn.rpc().note, gate.key, "rpc")
                nursery.start_soon(here.conn.rpc_nowait().note, gate.key, "nowait")
                nursery.start_soon(here.conn.cast().note, gate.key, "cast")
                nursery.start_soon(here.conn.stream(serde="json").echo, "chunk")
            await here.until(lambda: sorted(gate.notes) == ["cast", "nowait", "rpc"])
            call = here.conn.rpc().trio_add(1, 2)
            assert await call == 3
            with pytest.raises(RuntimeError, match="await"):
                await call

    run(body)


def test_exception_groups_hold_what_calls_raise(run: Run, gate: Gate) -> None:
    async def body() -> None:
        async with nodes() as here:
            with pytest.raises(BaseExceptionGroup) as caught:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(here.conn.rpc().trio_stubborn, gate.key)
                    await here.until(lambda: gate.inside == 1)
                    nursery.start_soon(here.conn.rpc().trio_raise, "no")
            assert caught.group_contains(ValueError, match="no")
            await here.settled()
            assert gate.notes == ["cleaned"]

    run(body)


def test_a_second_run_with_the_same_client(run: Run, gate: Gate) -> None:
    with daffi.Service() as service:
        client = AsyncClient(port=service.port)
        events: list[str] = []
        client.on_member_added(events.append)

        async def first() -> None:
            conn = await client.connect()
            assert await conn.rpc().add(1, 2) == 3
            conn.rpc().hold_async(gate.key)  # nobody awaits it, and the run ends
            with trio.fail_after(5):
                while not gate.inside:
                    await trio.sleep(0.01)

        async def second() -> None:
            conn = await client.connect()
            assert await conn.rpc().add(1, 2) == 3
            async with AsyncClient("other", port=service.port):
                with trio.fail_after(5):
                    while "other" not in events:
                        await trio.sleep(0.01)
            with trio.fail_after(5):
                while busy(client, service):
                    await trio.sleep(0.01)
            await client.stop()

        run(first)
        run(second)
        assert gate.cancelled == 1


def test_a_run_that_ends_with_everything_pending(run: Run, gate: Gate) -> None:
    left: list[Any] = []

    async def body() -> None:
        service = AsyncService()
        await service.start()
        client = AsyncClient(port=service.port)
        conn = await client.connect()
        left.extend([service, client])
        conn.rpc().trio_stubborn(gate.key)
        conn.stream(serde="json").trio_stubborn(gate.key)
        conn.stream(serde="json").trio_stubborn(iter([gate.key]))
        conn.stream_nowait(serde="json").trio_stubborn(iter([gate.key] * 9))
        await Here(service, client, conn).until(lambda: gate.inside == 4)

    run(body)
    gc.collect()
    assert gate.inside == 0

    async def stop() -> None:
        for node in left:
            await node.stop()

    run(stop)


def test_outside_of_a_run_it_is_an_error(run: Run) -> None:
    with daffi.Service() as service:
        client = AsyncClient(port=service.port)
        conn = run(client.connect)
        with pytest.raises(RuntimeError):
            conn.rpc().add(1, 2)
        run(client.stop)


def test_nothing_of_asyncio_is_imported(programs: Programs) -> None:
    program = programs.ready("trio_quiet.py", "work")
    assert program.expect("asyncio", within=20) == "False"
    assert program.wait(20) == 0
    assert program.stderr == ""

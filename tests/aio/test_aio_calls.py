"""What a call returns goes wherever asyncio takes a coroutine or a future."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import weakref
from typing import Any

import pytest
from gates import Gate
from places import Place, until

from daffi.exceptions import RemoteCallError


async def test_awaited(place: Place) -> None:
    assert await place.conn.rpc().add(1, 2) == 3
    assert await place.conn.rpc().add_async(1, 2) == 3


async def test_create_task(place: Place) -> None:
    tasks = [asyncio.create_task(place.conn.rpc().add_async(i, 1)) for i in range(20)]
    assert [await task for task in tasks] == list(range(1, 21))


async def test_gather(place: Place) -> None:
    call = place.conn.rpc().add(0, 0)
    got = await asyncio.gather(call, place.conn.rpc().add_async(1, 1), call)
    assert list(got) == [0, 2, 0]


async def test_gather_with_what_is_raised(place: Place) -> None:
    failing = place.conn.rpc().aio_raise("no")
    good, bad = await asyncio.gather(place.conn.rpc().add(1, 1), failing, return_exceptions=True)
    assert good == 2
    assert isinstance(bad, RemoteCallError)
    assert isinstance(bad, ValueError)


async def test_ensure_future(place: Place) -> None:
    future = asyncio.ensure_future(place.conn.rpc().add(1, 2))
    assert await future == 3
    assert (future.done(), future.cancelled(), future.result()) == (True, False, 3)
    assert future.exception() is None


@pytest.mark.parametrize("collect", [set, list, tuple])
async def test_wait(place: Place, collect: Any) -> None:
    calls = collect(place.conn.rpc().add_async(i, 0) for i in range(5))
    done, pending = await asyncio.wait(calls)
    assert not pending
    assert sorted(call.result() for call in done) == list(range(5))


async def test_wait_for_the_first_again_and_again(place: Place, gate: Gate) -> None:
    pending = {place.conn.rpc().hold_async(gate.key, "late"), place.conn.rpc().add(1, 2)}
    done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    assert [call.result() for call in done] == [3]
    gate.open()
    done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    assert [call.result() for call in done] == ["late"]
    assert not pending


async def test_wait_for(place: Place, gate: Gate) -> None:
    assert await asyncio.wait_for(place.conn.rpc().add(1, 2), 10) == 3
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(place.conn.rpc().hold_async(gate.key), 0.1)
    await until(lambda: gate.cancelled == 1)
    await place.settled()


async def test_shield(place: Place, gate: Gate) -> None:
    call = place.conn.rpc().hold_async(gate.key, "done")
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.shield(call), 0.1)
    gate.open()
    assert await call == "done"
    assert gate.cancelled == 0


async def test_as_completed(place: Place) -> None:
    calls = [place.conn.rpc().add_async(i, 0) for i in range(5)]
    assert sorted([await each for each in asyncio.as_completed(calls)]) == list(range(5))


async def test_from_another_thread(place: Place) -> None:
    loop, call = asyncio.get_running_loop(), place.conn.rpc().add(1, 2)

    def wait() -> Any:
        return asyncio.run_coroutine_threadsafe(call, loop).result(10)

    assert await asyncio.to_thread(wait) == 3

    async def whole() -> Any:
        return await place.conn.rpc().add(3, 4)

    def send() -> Any:
        return asyncio.run_coroutine_threadsafe(whole(), loop).result(10)

    assert await asyncio.to_thread(send) == 7


if sys.version_info >= (3, 11):

    async def test_task_group(place: Place) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(place.conn.rpc().add_async(i, i)) for i in range(9)]
        assert [task.result() for task in tasks] == [i + i for i in range(9)]

    async def test_a_task_group_cancels_the_others(place: Place, gate: Gate) -> None:
        with pytest.raises(BaseExceptionGroup) as caught:  # noqa: F821 - from 3.11 on
            async with asyncio.TaskGroup() as group:
                group.create_task(place.conn.rpc().hold_async(gate.key))
                await until(lambda: gate.inside == 1)
                group.create_task(place.conn.rpc().aio_raise("no"))
        assert caught.group_contains(ValueError, match="no")
        await until(lambda: gate.cancelled == 1)
        await place.settled()

    async def test_asyncio_timeout(place: Place, gate: Gate) -> None:
        async with asyncio.timeout(10):
            assert await place.conn.rpc().add(1, 2) == 3
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await place.conn.rpc().hold_async(gate.key)
        await until(lambda: gate.cancelled == 1)
        await place.settled()


if sys.version_info >= (3, 12):

    async def test_eager_tasks(place: Place) -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        calls = [place.conn.rpc().add_async(i, 0) for i in range(20)]
        tasks = [asyncio.create_task(call) for call in calls]
        assert await asyncio.gather(*tasks) == list(range(20))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(place.conn.rpc().add(i, 0)) for i in range(20)]
        assert [task.result() for task in tasks] == list(range(20))


async def test_it_is_sent_when_it_is_made(place: Place, gate: Gate) -> None:
    call = place.conn.rpc().hold_async(gate.key, 1)
    await until(lambda: gate.inside == 1)
    gate.open()
    assert await call == 1


async def test_dropped_it_runs_all_the_same(place: Place, gate: Gate) -> None:
    place.conn.rpc().note(gate.key, "ran")
    gc.collect()
    await until(lambda: gate.notes == ["ran"])
    place.conn.rpc().aio_raise("and nobody hears of it")
    await place.settled()
    gc.collect()


async def test_awaiting_twice_is_an_error_that_says_so(place: Place) -> None:
    call = place.conn.rpc().add(1, 2)
    assert await call == 3
    with pytest.raises(RuntimeError, match="awaited already"):
        await call


def test_without_a_loop_it_is_an_error() -> None:
    async def get() -> Any:
        async with Place("service") as place:
            return place.conn

    conn = asyncio.run(get())
    for style in (conn.rpc, conn.rpc_nowait, conn.cast, conn.cast_nowait):
        with pytest.raises(RuntimeError, match="no running event loop"):
            style().add(1, 2)
    for style in (conn.stream, conn.stream_nowait):
        with pytest.raises(RuntimeError, match="no running event loop"):
            style().echo(b"")


async def test_a_done_callback_runs_in_the_context_it_was_given_in(place: Place) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("then")
    seen: list[str] = []
    call = place.conn.rpc().add_async(1, 2)
    call.add_done_callback(lambda _: seen.append(variable.get()))
    variable.set("now")
    await asyncio.wait([call])
    await asyncio.sleep(0)
    assert seen == ["then"]


async def test_a_failed_call_leaves_nothing_behind(place: Place) -> None:
    left: list[weakref.ref[Any]] = []

    async def fail(as_task: bool) -> None:
        call = place.conn.rpc().aio_raise("no")
        left.append(weakref.ref(call))
        waited = asyncio.create_task(call) if as_task else call
        try:
            await waited
        except ValueError as error:
            left.append(weakref.ref(error))

    await fail(False)
    await fail(True)
    await asyncio.sleep(0.01)
    gc.collect()
    assert [one() for one in left] == [None] * 4

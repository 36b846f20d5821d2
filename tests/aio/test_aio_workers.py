"""`workers` of an asyncio node: one limit for `def` and `async def`, in order, per chain."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest
from gates import Gate, gate_of
from places import Place, until

from daffi import callback, current_call
from daffi.aio import AsyncClient

_variable: contextvars.ContextVar[str] = contextvars.ContextVar("aio_variable", default="unset")
_conns: dict[str, Any] = {}


@callback
async def aio_start(key: int, number: int) -> None:
    """Note when it starts."""
    gate_of(key).notes.append(number)
    await asyncio.sleep(0)


@callback
async def aio_back_and_forth(depth: int) -> list[str]:
    """Call the other one, which calls back."""
    me, other = ("worker", "caller") if depth % 2 == 0 else ("caller", "worker")
    if depth == 0:
        return [me]
    return [me, *await _conns[me].rpc(timeout=20, receiver=other).aio_back_and_forth(depth - 1)]


@callback
async def aio_context(name: str) -> list[Any]:
    """Set a variable, let others run, and look what it and `current_call()` are."""
    seen = [_variable.get(), current_call().caller]
    _variable.set(name)
    await asyncio.sleep(0.01)
    inner = await asyncio.create_task(_see())
    return [*seen, _variable.get(), *inner]


async def _see() -> list[Any]:
    return [_variable.get(), current_call().function]


@callback
def aio_context_in_thread(name: str) -> list[Any]:
    """The same on a thread."""
    seen = [_variable.get(), current_call().function]
    _variable.set(name)
    return seen


@pytest.mark.site(worker={"workers": 3})
async def test_one_limit_for_both_kinds(place: Place, gate: Gate) -> None:
    calls = [place.conn.rpc().hold_async(gate.key) for _ in range(4)]
    calls += [place.conn.rpc().hold(gate.key) for _ in range(4)]
    await until(lambda: gate.inside == 3 and place.worker.stats()["queued"] == 5)
    assert place.worker.stats()["running"] == 3
    gate.open()
    await asyncio.gather(*calls)
    assert gate.most == 3
    await place.settled()


async def test_a_hundred_where_nobody_says(place: Place, gate: Gate) -> None:
    calls = [place.conn.rpc().hold_async(gate.key) for _ in range(150)]
    await until(lambda: gate.inside == 100 and place.worker.stats()["queued"] == 50)
    gate.open()
    await asyncio.gather(*calls)
    assert gate.most == 100


@pytest.mark.parametrize("workers", [1, 100])
async def test_coroutines_start_in_order(workers: int, gate: Gate) -> None:
    for topology in ("service", "router"):
        async with Place(topology, worker={"workers": workers}) as place:
            calls = [place.conn.rpc().aio_start(gate.key, i) for i in range(2000)]
            await asyncio.gather(*calls)
            assert gate.notes == list(range(2000))
            gate.notes.clear()


@pytest.mark.site(worker={"workers": 1})
async def test_order_where_threads_answer(place: Place, gate: Gate) -> None:
    for burst in range(20):
        calls = [place.conn.rpc_nowait().note(gate.key, i) for i in range(200)]
        del calls
        await until(lambda: len(gate.notes) == 200, 10)
        assert gate.notes == list(range(200)), burst
        gate.notes.clear()


async def test_chains_that_call_back_with_one_worker() -> None:
    async with Place("router", worker={"workers": 1}, caller={"workers": 1, "expose": None}) as p:
        assert isinstance(p.worker, AsyncClient)
        _conns["caller"], _conns["worker"] = p.conn, await p.worker.connect()
        calls = [p.conn.rpc(timeout=20, receiver="worker").aio_back_and_forth(6) for _ in range(20)]
        for names in await asyncio.gather(*calls):
            assert names == ["worker", "caller"] * 3 + ["worker"]
        await p.settled()


async def test_context_variables_are_of_each_call(place: Place) -> None:
    _variable.set("the caller's")
    calls = [place.conn.rpc().aio_context(f"call {i}") for i in range(50)]
    for i, seen in enumerate(await asyncio.gather(*calls)):
        assert seen == ["unset", "caller", f"call {i}", f"call {i}", "aio_context"]
    for i in range(5):
        seen = await place.conn.rpc().aio_context_in_thread(f"{i}")
        assert seen == ["unset", "aio_context_in_thread"]
    assert _variable.get() == "the caller's"
    with pytest.raises(LookupError):
        current_call()


@pytest.mark.site(worker={"workers": 1})
async def test_plain_functions_stay_on_one_thread(place: Place) -> None:
    threads = {await place.conn.rpc().thread_id() for _ in range(20)}
    assert len(threads) == 1
    assert threads != {threading.get_ident()}

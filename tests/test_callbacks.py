"""What is registered and how it runs when it is called from elsewhere."""

from __future__ import annotations

import contextvars
import inspect
import threading
import time
from functools import partial

import pytest
from gates import Gate, new_gate
from loops import here, pause
from sites import Site, over_router, over_tcp
from worlds import World

from daffi import alias, callback, current_call, local
from daffi.exceptions import TransmissionFailure

pytestmark = over_tcp


class Base:
    """What is inherited is exported too."""

    def cb_inherited(self) -> str:
        return f"inherited by {type(self).__name__}"


@callback
class Shop(Base):
    """A class of callbacks."""

    built = 0
    touched = 0

    def __init__(self) -> None:
        type(self).built += 1
        self.stock = 3

    def cb_sell(self, number: int = 1) -> int:
        self.stock -= number
        return self.stock

    async def cb_sell_async(self, number: int = 1) -> int:
        return self.cb_sell(number)

    @staticmethod
    def cb_static(value: int) -> int:
        return value * 2

    @classmethod
    def cb_class(cls) -> str:
        return cls.__name__

    @property
    def cb_property(self) -> int:
        type(self).touched += 1
        raise AssertionError("nobody may touch this")

    @local
    def cb_local(self) -> None:
        """Not exported."""

    def _cb_private(self) -> None:
        """Not exported."""

    @alias("cb_renamed")
    def cb_original(self) -> str:
        return "by its other name"


class Counter:
    """An instance whose methods are exported one by one."""

    def __init__(self) -> None:
        self.count = 0

    def cb_count(self) -> int:
        self.count += 1
        return self.count


counter = Counter()
callback(counter.cb_count)


@callback
@alias("cb_alias")
def cb_not_this() -> str:
    """Exported under another name."""
    return "aliased"


@callback
def cb_inside() -> bool:
    """Whether `current_call` works, also in a thread of the callback's own context."""
    return current_call().function == "cb_inside"


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="clean")


@callback
def cb_context(value: str) -> str:
    """The variable as it was found; then set."""
    found = variable.get()
    variable.set(value)
    return found


@callback
async def cb_context_async(value: str) -> str:
    """The same in a coroutine."""
    found = variable.get()
    variable.set(value)
    await pause(0)
    return found


@callback
async def cb_loop() -> tuple[int, int]:
    """The loop and the thread that coroutines run on."""
    return id(here()), threading.get_ident()


async def test_a_class(world: World, site: Site) -> None:
    rpc = site.conn.rpc(timeout=5)
    stock = await world.call(rpc.cb_sell)
    assert await world.call(rpc.cb_sell, number=2) == stock - 2
    assert await world.call(rpc.cb_sell_async, 1) == stock - 3
    assert await world.call(rpc.cb_static, 4) == 8
    assert await world.call(rpc.cb_class) == "Shop"
    assert await world.call(rpc.cb_inherited) == "inherited by Shop"
    assert await world.call(rpc.cb_renamed) == "by its other name"
    assert Shop.built == 1 and Shop.touched == 0


async def test_what_is_not_exported(world: World, site: Site) -> None:
    members = {member.name: member for member in await world.call(site.conn.members)}
    offered = set(members[site.worker_name].functions)
    for name in ("cb_local", "_cb_private", "cb_property", "cb_original", "cb_not_this"):
        assert name not in offered
        if not name.startswith("_"):
            with pytest.raises(TransmissionFailure):
                await world.call(getattr(site.conn.rpc(timeout=5), name))


async def test_a_bound_method(world: World, site: Site) -> None:
    before = counter.count
    assert await world.call(site.conn.rpc(timeout=5).cb_count) == before + 1
    assert counter.count == before + 1


async def test_an_alias(world: World, site: Site) -> None:
    assert await world.call(site.conn.rpc(timeout=5).cb_alias) == "aliased"


async def test_callback_returns_what_it_was_given(world: World, site: Site) -> None:
    assert cb_not_this() == "aliased"
    assert isinstance(Shop(), Base)
    Shop.built -= 1
    assert inspect.iscoroutinefunction(cb_loop)


async def test_coroutines_share_the_loop_of_their_node(world: World, site: Site) -> None:
    rpc = site.conn.rpc(timeout=5)
    loops = {tuple(await world.call(rpc.cb_loop)) for _ in range(5)}
    assert len(loops) == 1
    if world.awaits:  # the loop that it was started on
        assert loops == {(id(here()), threading.get_ident())}
    else:  # one of its own
        ((_, thread),) = loops
        assert thread != threading.get_ident()


async def test_context_variables_are_set_for_each_call(world: World, site: Site) -> None:
    for name in ("cb_context", "cb_context_async"):
        function = getattr(site.conn.rpc(timeout=5), name)
        assert [await world.call(function, value) for value in "abc"] == ["clean"] * 3
    assert variable.get() == "clean"
    assert await world.call(site.conn.rpc(timeout=5).cb_inside) is True


async def test_one_worker_is_one_thread(world: World, site: Site) -> None:
    idents = await world.together([partial(site.conn.rpc(timeout=9).thread_id) for _ in range(40)])
    assert len(set(idents)) == 1
    assert idents[0] not in (threading.get_ident(), threading.main_thread().ident)


@pytest.mark.site(worker={"workers": None})
@pytest.mark.parametrize("names", [["hold"], ["hold_async"], ["hold", "hold_async"]], ids=str)
async def test_how_many_run_at_once_where_nobody_says(
    world: World, site: Site, gate: Gate, names: list[str]
) -> None:
    rpc = site.conn.rpc(timeout=30)
    many = (world.workers + 20) // len(names) * len(names)
    calls = [world.begin(getattr(rpc, names[i % len(names)]), gate.key) for i in range(many)]
    await world.until(lambda: gate.inside == world.workers)
    await world.until(lambda: site.worker.stats()["queued"] == many - world.workers)
    assert gate.inside == world.workers
    gate.open()
    for one in calls:
        await one.result()
    assert gate.most == world.workers
    await site.settled()


async def test_one_worker_is_one_at_a_time(world: World, site: Site, gate: Gate) -> None:
    calls = [world.begin(site.conn.rpc(timeout=20).hold, gate.key) for _ in range(5)]
    calls += [world.begin(site.conn.rpc(timeout=20).hold_async, gate.key) for _ in range(5)]
    await world.until(lambda: site.caller.stats()["calls_in_flight"] == 10)
    await world.sleep(0.2)
    assert gate.inside == 1
    gate.open()
    for one in calls:
        await one.result()
    assert gate.most == 1  # of either kind
    await site.settled()


@pytest.mark.site(worker={"workers": 3})
@pytest.mark.parametrize("names", [["hold"], ["hold_async"], ["hold", "hold_async"]], ids=str)
async def test_never_more_than_the_workers(
    world: World, site: Site, gate: Gate, names: list[str]
) -> None:
    rpc = site.conn.rpc(timeout=20)
    calls = [world.begin(getattr(rpc, name), gate.key) for name in names * 9]
    await world.until(lambda: gate.inside == 3)
    await world.sleep(0.2)
    assert gate.inside == 3
    assert site.worker.stats()["running"] == 3
    gate.open()
    for one in calls:
        await one.result()
    assert gate.most == 3
    await site.settled()


def _are_inside(gate: Gate, count: int) -> bool:
    return gate.inside == count


@pytest.mark.site(worker={"workers": 2})
async def test_a_thread_that_came_too_late_is_called_again(world: World, site: Site) -> None:
    """One that sleeps is called for a call that another takes before it wakes up."""
    other = await site.join("other")
    slow = 0
    for _ in range(25):
        for value in range(40):
            await world.call(site.conn.rpc_nowait().nothing, value)
            await world.call(other.rpc(timeout=5).nothing, value)
        gate = new_gate()
        before = time.monotonic()
        both = [world.begin(conn.rpc(timeout=10).hold, gate.key) for conn in (site.conn, other)]
        await world.until(partial(_are_inside, gate, 2))
        slow += time.monotonic() - before > 0.4  # asleep, they look again after a second
        gate.open()
        for one in both:
            await one.result()
    assert slow <= 1  # a machine may stumble


@pytest.mark.site(worker={"workers": 50})
async def test_threads_are_made_on_demand(world: World, site: Site, gate: Gate) -> None:
    before = threading.active_count()
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3
    assert threading.active_count() <= before + 2
    calls = [world.begin(site.conn.rpc(timeout=20).hold, gate.key) for _ in range(50)]
    await world.until(lambda: gate.inside == 50)
    gate.open()
    for one in calls:
        await one.result()
    assert len(gate.threads) == 50


@over_router
async def test_workers_of_one_node_are_not_anothers(world: World, site: Site, gate: Gate) -> None:
    await site.join("second", expose=None)
    other = new_gate()
    blocked = world.begin(site.conn.rpc(timeout=20, receiver="second").hold, gate.key)
    await world.until(lambda: gate.inside == 1)
    other.open()
    await world.call(site.conn.rpc(timeout=5, receiver="worker").hold, other.key)
    gate.open()
    await blocked.result()

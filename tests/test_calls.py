"""One call: arguments, results, targets by name, timeouts, and what the callback knows of it."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest
from gates import Gate, gate_of
from sites import Site, over_service, over_tcp
from worlds import World

from daffi import SerdeFormat, callback, current_call
from daffi.exceptions import CallTimeout, TransmissionFailure


async def test_arguments_and_results(world: World, site: Site) -> None:
    rpc = site.conn.rpc(timeout=10)
    assert await world.call(rpc.add, 1, 2) == 3
    assert await world.call(rpc.add, a=1, b=2) == 3
    assert await world.call(rpc.add, 1, b=2) == 3
    assert await world.call(rpc.add, 5) == 5
    assert await world.call(rpc.add_async, 1, 2) == 3
    assert await world.call(rpc.nothing) is None
    assert await world.call(rpc.every, 1, *range(2), x=[None], y={"z": 1.5}) == [
        [1, 0, 1],
        {"x": [None], "y": {"z": 1.5}},
    ]
    await site.settled()


async def test_parameter_names_of_ours_are_free_for_callbacks(world: World, site: Site) -> None:
    given = {"timeout": 1, "receiver": 2, "serde": 3, "function": 4, "self": 5, "name": 6}
    assert await world.call(partial(site.conn.rpc().every, **given)) == [[], given]


async def test_names_that_begin_with_an_underscore_are_not_remote(world: World, site: Site) -> None:
    for style in ("rpc", "rpc_nowait", "cast", "cast_nowait", "stream", "stream_nowait"):
        proxy = getattr(site.conn, style)()
        for name in ("_private", "__wrapped__", "__len__"):
            with pytest.raises(AttributeError):
                getattr(proxy, name)


@over_tcp
async def test_a_name_that_is_no_text_is_refused(world: World, site: Site) -> None:
    conn, bad = site.conn, "lone\ud800"
    for refused in (
        lambda: getattr(conn.rpc(), bad),
        lambda: getattr(conn.stream(), bad),
        lambda: conn.rpc(receiver=bad),
        lambda: conn.cast(receiver=["good", bad]),
        lambda: conn.wait_for_members("good", bad),
        lambda: conn.wait_for_function(bad),
    ):
        with pytest.raises(ValueError, match=r"named 'lone.*surrogate") as caught:
            await world.call(refused)
        assert type(caught.value) is ValueError


@over_tcp
async def test_a_name_that_is_too_long_says_what_it_names(world: World, site: Site) -> None:
    long = "x" * 256
    for call in (site.conn.rpc().__getattr__(long), site.conn.stream().__getattr__(long)):
        with pytest.raises(TransmissionFailure, match=r"no function xxx.* 255 bytes, this one 256"):
            await world.call(call, b"1")
    with pytest.raises(TransmissionFailure, match=r"no receiver xxx.* 255 bytes, this one 256"):
        await world.call(site.conn.rpc(receiver=long).add, 1, 2)


@over_tcp
async def test_a_proxy_does_not_grow_with_the_names_it_is_asked_for(
    world: World, site: Site
) -> None:
    proxy = site.conn.rpc(timeout=10)
    for number in range(5000):
        getattr(proxy, f"name_{number}")
    assert len(vars(proxy)) <= 1001
    assert await world.call(proxy.add, 1, 2) == 3


async def test_proxy_and_function_may_be_kept_and_shared(world: World, site: Site) -> None:
    add = site.conn.rpc(timeout=20).add
    sums = await world.together([partial(add, i, i) for i in range(40)])
    assert sums == [2 * i for i in range(40)]


async def test_receiver_pins_a_call(world: World, site: Site) -> None:
    for _ in range(3):
        pinned = site.conn.rpc(timeout=10, receiver=site.worker_name)
        assert await world.call(pinned.add, 1, 1) == 2


async def test_timeout_says_what_was_waited_for(world: World, site: Site, gate: Gate) -> None:
    before = time.monotonic()
    with pytest.raises(CallTimeout) as caught:
        await world.call(site.conn.rpc(timeout=0.2).hold, gate.key)
    assert 0.19 <= time.monotonic() - before < 2
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert error.call == "hold"
    assert error.timeout == pytest.approx(0.2)
    assert error.elapsed is not None and 0.19 <= error.elapsed < 2
    assert error.receivers == []  # the server chose, and the caller was not told whom
    assert "hold" in str(error) and "0.2" in str(error)
    with pytest.raises(CallTimeout) as caught:
        pinned = site.conn.rpc(timeout=0.2, receiver=site.worker_name)
        await world.call(pinned.hold, gate.key)
    assert caught.value.receivers == [site.worker_name]


async def test_timeout_of_none_waits(world: World, site: Site, gate: Gate) -> None:
    running = world.begin(site.conn.rpc(timeout=None).hold, gate.key, "late")
    await world.until(lambda: gate.inside == 1)
    gate.open()
    assert await running.result() == "late"


@pytest.mark.parametrize("timeout", [0, -1, "1", float("nan"), -(10**400)])
@over_tcp
async def test_timeout_that_is_none_of_a_time(world: World, site: Site, timeout: Any) -> None:
    with pytest.raises((ValueError, TypeError, CallTimeout)):
        await world.call(lambda: site.conn.rpc(timeout=timeout).add(1, 2))
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3


@over_tcp
async def test_a_timeout_beyond_all_bounds_is_for_ever(world: World, site: Site) -> None:
    for timeout in (10**400, 1e308, float("inf")):
        assert await world.call(site.conn.rpc(timeout=timeout).add, 1, 2) == 3
        assert (await world.call(site.conn.rpc(timeout=timeout).about_call))["deadline"] is None


@pytest.mark.site(caller={"default_timeout": 0.2})
async def test_default_timeout(world: World, site: Site, gate: Gate) -> None:
    with pytest.raises(CallTimeout) as caught:
        await world.call(site.conn.rpc().hold, gate.key)
    assert caught.value.timeout == pytest.approx(0.2)
    running = world.begin(site.conn.rpc(timeout=10).hold, gate.key, "mine")
    await world.sleep(0.4)
    gate.open()
    assert await running.result() == "mine"


async def test_unknown_function_lists_who_is_there(world: World, site: Site) -> None:
    before = time.monotonic()
    for style in (site.conn.rpc, site.conn.cast, site.conn.stream):
        with pytest.raises(TransmissionFailure) as caught:
            await world.call(style(timeout=10).no_such_function, b"x")
        assert isinstance(caught.value, LookupError)
        text = str(caught.value)
        assert "no_such_function" in text and site.worker_name in text and "add" in text
    assert time.monotonic() - before < 2
    await site.settled()


async def test_unknown_receiver_lists_who_is_there(world: World, site: Site) -> None:
    for call in (
        site.conn.rpc(timeout=10, receiver="nobody").add,
        site.conn.cast(timeout=10, receiver="nobody").add,
        site.conn.cast(timeout=10, receiver=[site.worker_name, "nobody"]).add,
    ):
        with pytest.raises(TransmissionFailure) as caught:
            await world.call(call, 1, 2)
        assert "nobody" in str(caught.value) and site.worker_name in str(caught.value)
    with pytest.raises(TransmissionFailure, match="nobody"):
        await world.call(site.conn.stream(timeout=10, receiver="nobody").take, b"1")


async def test_receiver_that_does_not_have_the_function(world: World, site: Site) -> None:
    await site.join("bystander")
    with pytest.raises(TransmissionFailure, match="bystander"):
        await world.call(site.conn.rpc(timeout=10, receiver="bystander").add, 1, 2)


async def test_a_long_list_is_cut(world: World, site: Site) -> None:
    for i in range(60):
        await site.join(f"member-{i:03}")
    with pytest.raises(TransmissionFailure) as caught:
        await world.call(site.conn.rpc(timeout=10).no_such_function)
    assert 5 <= str(caught.value).count("member-0") <= 50


@pytest.mark.parametrize("serde", ["JSON", "json", "Json", SerdeFormat.JSON, int(SerdeFormat.JSON)])
@over_tcp
async def test_serde_by_name_in_any_case(world: World, site: Site, serde: Any) -> None:
    said = await world.call(site.conn.rpc(timeout=10, serde=serde).about_call)
    assert said["serde"] == SerdeFormat.JSON


@over_service
@over_tcp
async def test_serde_that_is_none(world: World, site: Site) -> None:
    for serde in ("yaml", 77, None, object()):
        with pytest.raises((ValueError, TypeError)) as caught:
            await world.call(lambda serde=serde: site.conn.rpc(serde=serde).add(1, 2))
        if serde == "yaml":
            assert "json" in str(caught.value).lower()


async def test_callback_knows_its_call(world: World, site: Site) -> None:
    with pytest.raises(LookupError):
        current_call()
    said = await world.call(site.conn.rpc(timeout=10).about_call)
    assert said["caller"] == "caller"
    assert said["function"] == "about_call"
    assert said["serde"] == SerdeFormat.PICKLE
    assert 0 < said["deadline"] - time.monotonic() < 10
    assert isinstance(said["headers"], dict)
    assert (await world.call(site.conn.rpc().about_call))["deadline"] is None


async def test_too_many_and_too_few_arguments(world: World, site: Site) -> None:
    for args in ((), (1, 2, 3)):
        with pytest.raises(TypeError, match="add"):
            await world.call(site.conn.rpc(timeout=10).add, *args)
    with pytest.raises(TypeError, match="colour"):
        await world.call(partial(site.conn.rpc(timeout=10).add, 1, colour=2))
    assert await world.call(site.conn.rpc(timeout=10).add, 1, 2) == 3
    await site.settled()


@callback
def calls_order(key: int, value: int) -> None:
    """Keep the order in which calls came."""
    gate_of(key).notes.append(value)


async def test_small_calls_arrive_in_order(world: World, site: Site, gate: Gate) -> None:
    def make() -> None:
        for value in range(2000):
            site.conn.rpc_nowait().calls_order(gate.key, value)

    await world.call(make)
    await world.until(lambda: len(gate.notes) == 2000)
    assert gate.notes == list(range(2000))


async def test_fifty_who_share_a_connection(world: World, site: Site) -> None:
    echo = site.conn.rpc(timeout=30).echo

    async def talk(who: int) -> None:
        for turn in range(100):
            assert await world.call(echo, (who, turn)) == (who, turn)

    await world.side_by_side(talk(who) for who in range(50))
    await site.settled()

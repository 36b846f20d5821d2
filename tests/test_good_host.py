"""Beside other Python: a node lives on while the GIL is held, and leaves when asked by signals."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import offered
import pytest
from gates import Gate
from programs import Programs
from sites import Site, blocking_only, engine_alone, over_service, over_tcp
from worlds import World

from daffi import Client

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
LONGER_THAN_SILENCE = 7.0  # seconds; a peer that is silent for 6 is declared dead


@engine_alone
async def test_heartbeats_go_on_while_a_callback_holds_the_gil(
    world: World, programs: Programs
) -> None:
    """A service, a worker and its neighbour, all at the same time."""
    _, direct = programs.serve("service")
    _, routed = programs.serve("router")
    programs.ready("serve.py", "worker", "--url", routed, "--name", "busy")
    programs.ready("serve.py", "worker", "--url", routed, "--name", "free")
    callers = [world.Client(f"caller-{i}", url=url, expose=(), reconnect=False)
               for i, url in enumerate((direct, routed))]  # fmt: skip
    to_service, to_router = [await world.call(caller.connect) for caller in callers]
    await world.call(to_router.wait_for_members, "busy", "free", timeout=5)
    before = time.monotonic()
    running = [
        world.begin(to_service.rpc(timeout=30).hold_gil, LONGER_THAN_SILENCE),
        world.begin(to_router.rpc(timeout=30, receiver="busy").hold_gil, LONGER_THAN_SILENCE),
    ]
    free = to_router.rpc(timeout=5, receiver="free").add
    while time.monotonic() - before < LONGER_THAN_SILENCE - 1:
        asked = time.monotonic()
        assert await world.call(free, 1, 2) == 3
        assert time.monotonic() - asked < 1
        await world.sleep(0.2)
    for one in running:
        assert await one.result() == LONGER_THAN_SILENCE
    assert {"busy", "free"} <= {member.name for member in await world.call(to_router.members)}
    for conn in (to_service, to_router):
        assert await world.call(conn.rpc(timeout=5).add, 1, 2) == 3
    for caller in callers:
        await world.call(caller.stop)


@engine_alone
async def test_a_router_forwards_while_its_process_holds_the_gil(
    world: World, programs: Programs
) -> None:
    hog = programs.start("hog.py")
    url = hog.expect("ready")
    worker = world.Client("worker", url=url)
    await world.call(worker.connect)
    caller = world.Client("caller", url=url, expose=(), reconnect=False)
    conn = await world.call(caller.connect)
    hog.tell(str(LONGER_THAN_SILENCE))
    hog.expect("holding")
    end = time.monotonic() + LONGER_THAN_SILENCE - 0.5
    while time.monotonic() < end:
        asked = time.monotonic()
        assert await world.call(conn.rpc(timeout=5).add, 1, 2) == 3
        assert time.monotonic() - asked < 1
        await world.sleep(0.1)
    hog.expect("released")
    assert await world.call(conn.rpc(timeout=5).add, 1, 2) == 3
    await world.call(caller.stop)
    await world.call(worker.stop)


def test_a_large_answer_waits_for_the_gil_and_the_connection_lives(programs: Programs) -> None:
    """The thread that reads it needs the GIL for its memory; others read on meanwhile."""
    _, url = programs.serve("service")
    size = 8 * 1024 * 1024
    with Client("caller", url=url, expose=(), reconnect=False) as conn:

        def call() -> int:
            for _ in range(10):  # from then on it reads by itself
                assert conn.rpc(timeout=5).add(1, 2) == 3
            return len(conn.rpc(timeout=30).late(0.5, size))

        # Not the main thread, which looks for signals ten times a second.
        with ThreadPoolExecutor(1) as other:
            answer = other.submit(call)
            time.sleep(0.3)
            # The connection is looked after every 2 s.
            offered.hold_gil(LONGER_THAN_SILENCE + 2.5)
            assert answer.result(10) == size
        assert conn.rpc(timeout=5).add(1, 2) == 3


@SIGNALS
@pytest.mark.parametrize("role", ["router", "service", "worker"])
def test_join_ends_on_a_signal(programs: Programs, role: str, number: int) -> None:
    args = []
    if role == "worker":
        _, url = programs.serve("router")
        args = ["--url", url]
    node = programs.ready("serve.py", role, *args, "--join")
    node.send_signal(number)
    node.expect("peak", within=2)
    node.expect("left")
    assert node.wait(2) == 0
    assert node.stderr == ""


@SIGNALS
@pytest.mark.parametrize("topology", ["service", "router"])
async def test_join_drains(world: World, programs: Programs, topology: str, number: int) -> None:
    router, url = programs.serve("router") if topology == "router" else (None, "")
    if router:
        node = programs.ready("serve.py", "worker", "--url", url, "--join", "--workers", "2")
    else:
        node = programs.start("serve.py", "service", "--join", "--workers", "2")
        url = node.expect("ready")
    caller = world.Client("caller", url=url, expose=(), reconnect=False)
    conn = await world.call(caller.connect)
    await world.call(conn.wait_for_function, "tell_nap", timeout=5)
    rpc = conn.rpc(timeout=20)
    running = [world.begin(partial(rpc.tell_nap, 0.5)), world.begin(rpc.tell_nap_async, 0.5)]
    for _ in range(2):
        await world.thread(node.expect, "entered")
    node.send_signal(number)
    assert [await one.result() for one in running] == [0.5, 0.5]
    for word in ("finished", "finished", "peak", "left"):
        await world.thread(node.expect, word)
    assert await world.thread(node.wait) == 0
    await world.call(caller.stop)


def test_join_puts_the_handlers_back(programs: Programs) -> None:
    program = programs.start("handlers.py")
    assert program.expect("before") == program.expect("after") != program.expect("during")
    assert program.wait() == 0, program.stderr
    assert program.stderr == ""


@blocking_only
@over_tcp
@over_service
async def test_join_in_another_thread_takes_over_no_signal(
    world: World, site: Site, gate: Gate
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    joining = [world.begin(node.join) for node in site.nodes.values()]
    await world.sleep(0.1)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert not any(one.done() for one in joining)
    for node in reversed(list(site.nodes.values())):
        await world.call(node.stop)
    for one in joining:
        await one.result(within=5)


@blocking_only
async def test_a_thread_that_computes_leaves_callers_their_turns(
    world: World, programs: Programs
) -> None:
    """Were they to ask for the GIL one by one, each would get it after 5 ms."""
    _, url = programs.serve("service", "--workers", "8")
    ended = threading.Event()

    def compute() -> None:
        while not ended.is_set():
            sum(range(1000))

    with Client("caller", url=url) as conn:

        def calls_in_half_a_second() -> int:
            counts = [0] * 64
            until = time.monotonic() + 0.5

            def call(number: int) -> None:
                while time.monotonic() < until:
                    conn.rpc(timeout=20).add(1, 2)
                    counts[number] += 1

            threads = [threading.Thread(target=call, args=(number,)) for number in range(64)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return sum(counts)

        busy = threading.Thread(target=compute)
        busy.start()
        try:
            for _ in range(5):  # other programs may come between
                made = await world.thread(calls_in_half_a_second)
                if made > 700:  # one by one, some 450 are made
                    break
            else:
                pytest.fail(f"64 threads made {made} calls in half a second")
        finally:
            ended.set()
            busy.join()

"""Large payloads: 256 MiB with bounded memory, and small calls beside them."""

from __future__ import annotations

import re
import struct
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from memory import resident
from programs import Programs
from sites import Site, over_tcp
from strangers import ANSWER, CALL, CREDIT, FUNCTION, JSON, OPAQUE, PING, Stranger, frame
from worlds import World

from daffi import Service

SIZE = 256 * 1024 * 1024
BOUND = 3 * SIZE  # of either side, interpreter and all


@pytest.mark.parametrize("topology", ["service", "router"])
@pytest.mark.parametrize("serde", ["PICKLE", "OPAQUE"])
def test_memory_is_bounded(programs: Programs, topology: str, serde: str) -> None:
    """There and back; the peak of each process, as the system counted it, under three times."""
    nodes = []
    if topology == "router":
        router, url = programs.serve("router")
        worker = programs.ready("serve.py", "worker", "--url", url)
        nodes = [router, worker]
    else:
        service, url = programs.serve("service")
        nodes = [service]
    caller = programs.start("large.py", url, serde, str(SIZE))
    assert caller.expect("right", within=50) == str(SIZE)
    peaks = {"caller": int(caller.expect("peak"))}
    assert caller.wait() == 0, caller.stderr
    for node in reversed(nodes):
        assert node.leave() == 0, node.stderr
        peaks[node.name + str(node.pid)] = int(node.expect("peak"))
    assert max(peaks.values()) < BOUND, peaks
    if topology == "router":
        router_peak = peaks[nodes[0].name + str(nodes[0].pid)]
        assert router_peak < SIZE, peaks  # it passes pieces on and keeps none


@pytest.mark.parametrize("kind", ["bytearray", "array"])
def test_a_result_that_nobody_holds_is_not_copied(programs: Programs, kind: str) -> None:
    service, url = programs.serve("service")
    caller = programs.start("large.py", url, "PICKLE", str(SIZE), kind)
    assert caller.expect("right", within=50) == str(SIZE)
    assert caller.wait() == 0, caller.stderr
    assert service.leave() == 0, service.stderr
    assert int(service.expect("peak")) < 1.5 * SIZE


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a page comes with its first use")
@pytest.mark.parametrize("mixed", [True, False])
def test_pages_are_there_before_a_large_message_among_small_ones(mixed: bool) -> None:
    total = struct.pack("<Q", 64 << 20)
    fields = ((FUNCTION, b"length"), (8, struct.pack("<Q", 77)), (9, total))
    with Service("service") as service, Stranger(service.port) as peer:
        peer.greet()
        before = resident()
        if mixed:
            peer.say(frame(CALL, b"[[1, 2], {}]", id=1, format=JSON, fields=((FUNCTION, b"add"),)))
            assert peer.hear().kind == ANSWER
        peer.say(frame(CALL, b"x", id=2, format=OPAQUE, fields=fields))
        while (heard := peer.hear_any()).id != 77:
            assert heard.kind in (PING, CREDIT)
        assert heard.kind == CREDIT  # more may come
        there = resident() - before
        assert there > 60 << 20 if mixed else there < 30 << 20


@over_tcp
async def test_small_calls_pass_beside_a_large_one(world: World, site: Site) -> None:
    data = b"x" * (64 * 1024 * 1024)
    large = world.begin(site.conn.rpc(timeout=60, serde="OPAQUE").echo, data)
    await world.until(lambda: site.caller.stats()["bytes_sent"] > 100_000)
    other = await site.join("other")
    before = time.monotonic()
    await world.call(other.members)
    await world.call(site.conn.members)
    assert time.monotonic() - before < 1
    assert await large.result(within=30) == data
    await site.settled()


@over_tcp
async def test_several_buffers_of_one_message_among_small_ones(world: World, site: Site) -> None:
    value = [bytearray([number]) * (12 << 20) for number in range(4)]
    for _ in range(2):
        assert await world.call(site.conn.rpc(timeout=10).add, 1, 2) == 3
        assert await world.call(site.conn.rpc(timeout=20, serde="PICKLE").echo, value) == value


@over_tcp
@pytest.mark.site(worker={"workers": 4})
async def test_several_large_ones_at_once(world: World, site: Site) -> None:
    sizes = [7_000_001, 9_000_000, 65_536, 12_345_678]
    calls = [
        partial(site.conn.rpc(timeout=60, serde=serde).echo, bytes([65 + i]) * size)
        for i, size in enumerate(sizes)
        for serde in ("PICKLE", "OPAQUE", "MSGPACK")
    ]
    for call, back in zip(calls, await world.together(calls), strict=True):
        assert back == call.args[0]
    await site.settled()


@over_tcp
async def test_a_large_call_that_is_too_late_leaves_nothing(world: World, site: Site) -> None:
    data = b"x" * (100 * 1024 * 1024)
    with pytest.raises(TimeoutError):
        await world.call(site.conn.rpc(timeout=0.02).length, data)
    await site.settled()
    assert site.caller.stats()["bytes_queued"] == 0
    assert await world.call(site.conn.rpc(timeout=20).length, data[:1_000_000]) == 1_000_000


def _has_huge_pages(address: int) -> bool:
    """Whether pages of 2 MiB were asked for where this address lies."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(found[1], 16) <= address < int(found[2], 16)
        elif inside and line.startswith("VmFlags:"):
            return "hg" in line.split()
    return False


@over_tcp
@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="only some Linux has them"
)
async def test_large_results_have_huge_pages(world: World, site: Site) -> None:
    value = await world.call(site.conn.rpc(timeout=20, serde="OPAQUE").echo, bytes(8 << 20))
    assert len(value) == 8 << 20
    assert _has_huge_pages(id(value) + (4 << 20))

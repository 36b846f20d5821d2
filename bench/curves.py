"""The curves: what is measured over which sizes.

Lives here: data. No measuring, no processes. Imports `row`.
"""

from typing import Any

from bench.row import Curve, Row

# No point of a flat curve may be this many times what an earlier one was. Half as much again is
# what cold caches and the scheduler make of the same work.
FLAT = 1.5

SMALL = (1, 3, 10, 30, 100, 300, 1000)
FLYING = 64


def _curve(
    name: str,
    title: str,
    along: str,
    points: tuple[int, ...],
    scenario: str,
    *,
    axis: str = "",
    unit: str = "us per call",
    stack: str = "aio_service",
    flat: float | None = FLAT,
    **options: Any,
) -> Curve:
    row = Row(name, title, unit, scenario, stack, options, less=True, before=False, part="curves")
    return Curve(name, title, along, axis or along, points, row, flat)


def _scale(scenario: str) -> str:
    return f"bench.aio.scaling:{scenario}"


MEMBERS = (1, 3, 10, 30, 100, 200)

CURVES: tuple[Curve, ...] = (
    _curve(
        "connections",
        "one after another, over all connections in turn",
        "connections",
        SMALL,
        _scale("rotating"),
        flying=1,
    ),
    _curve(
        "connections_busy",
        "64 in flight, over all connections in turn",
        "connections",
        SMALL,
        _scale("rotating"),
        flying=FLYING,
        flat=None,  # fewer calls share a write where more connections carry them
    ),
    _curve(
        "in_flight",
        "one connection",
        "flying",
        (1, 10, 100, 1000, 10_000),
        _scale("rotating"),
        axis="calls in flight",
    ),
    _curve(
        "functions",
        "64 in flight, each function in turn",
        "functions",
        SMALL,
        _scale("functions"),
        flying=FLYING,
    ),
    _curve(
        "members",
        "64 in flight to one member of many",
        "members",
        MEMBERS,
        _scale("one_member"),
        axis="members behind the Router",
        stack="aio_router1",
        flying=FLYING,
    ),
    _curve(
        "members_in_turn",
        "64 in flight to all members in turn",
        "members",
        MEMBERS,
        _scale("rotating"),
        axis="members behind the Router",
        stack="aio_router1",
        flying=FLYING,
        flat=None,  # fewer calls share a write where more members take them
    ),
    _curve(
        "payload",
        "echo OPAQUE, one after another",
        "size",
        tuple(1 << bits for bits in (4, 8, 12, 16, 18, 20, 22, 24, 26, 28)),
        "bench.calling:echo_time",
        axis="bytes each way",
        stack="service",
        flat=None,
    ),
    _curve(
        "memory_connections",
        "server, for each idle connection",
        "connections",
        (100, 300, 1000),
        _scale("memory_of_connections"),
        unit="KiB",
    ),
    _curve(
        "memory_in_flight",
        "caller and server, for each call in flight",
        "calls",
        (100, 1000, 10_000),
        _scale("memory_in_flight"),
        axis="calls in flight",
        unit="KiB",
    ),
)

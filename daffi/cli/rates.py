"""Two looks at a server's counters made into rates. Plain dicts, no clock, no screen.

Imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Counters = Mapping[str, Any]
_NONE: dict[str, Any] = {}


def between(before: Counters, after: Counters, seconds: float) -> dict[str, Any]:
    """What `daffi top` shows, of two results of `server_stats()` so many seconds apart."""
    old = before["by_member"]
    members = {
        name: _member(old.get(name, _NONE), stats, seconds)
        for name, stats in after["by_member"].items()
    }
    functions = {
        name: _rates(before["functions"].get(name, _NONE), counted, seconds) | counted
        for name, counted in after["functions"].items()
    }
    for stats in after["by_member"].values():
        for name, counted in stats["functions"].items():
            under_way = functions.setdefault(name, _rates(_NONE, _NONE, seconds))
            under_way.setdefault("calls_in_flight", 0)
            under_way["calls_in_flight"] += counted["calls_in_flight"]
    sent = sum(member["bytes_sent_per_second"] for member in members.values())
    received = sum(member["bytes_received_per_second"] for member in members.values())
    return {
        "uptime": after["uptime"],
        "seconds": seconds,
        **_rates(before, after, seconds),
        "calls_in_flight": after["calls_in_flight"],
        "queued": after["queued"],
        "bytes_sent_per_second": sent,
        "bytes_received_per_second": received,
        "functions": functions,
        "members": members,
    }


def _member(before: Counters, after: Counters, seconds: float) -> dict[str, Any]:
    ended, failed = (
        sum(
            _rate(_of(before, name).get(counter, 0), counted[counter], seconds)
            for name, counted in after["functions"].items()
        )
        for counter in ("calls", "errors")
    )
    return {
        "calls_per_second": ended,
        "errors_per_second": failed,
        "calls_in_flight": after["calls_in_flight"],
        "queued": after["queued"],
        **{
            f"{counter}_per_second": _rate(before.get(counter, 0), after[counter], seconds)
            for counter in ("bytes_sent", "bytes_received")
        },
    }


def _of(member: Counters, function: str) -> Counters:
    found: Counters = member.get("functions", _NONE).get(function, _NONE)
    return found


def _rates(before: Counters, after: Counters, seconds: float) -> dict[str, Any]:
    return {
        f"{counter}_per_second": _rate(before.get(counter, 0), after.get(counter, 0), seconds)
        for counter in ("calls", "errors")
    }


def _rate(before: int, after: int, seconds: float) -> float:
    """How much came each second. A counter that fell has begun anew meanwhile."""
    return (after - before if after >= before else after) / seconds

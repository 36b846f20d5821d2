"""`python -m bench.soak --seconds N`: mixed calls at full speed, and whether anything grows.

Blocking nodes have the first half of the time, asyncio nodes the second.

Lives here: the command line, the processes, and the phases of each mix: load for a third of
its time (warm-up), idle, load for the rest, idle. Exits with 0 if all is flat and every answer
came to its own call, with 1 and the reasons if not. The processes have one heap each: glibc gives
threads up to eight for each CPU, which take a million calls to fill up, and that looks like a
leak and hides one. `MALLOC_ARENA_MAX=` (nothing) leaves it as it is. Imports `children`,
`machine`, `saved`, `stage` and `verdict`.
"""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bench import machine, saved
from bench.children import Child, ChildFailed, Household
from bench.soak import verdict
from bench.stage import free_port

WORKERS = ["worker-0", "worker-1"]
CALLERS = ["caller-0", "caller-1"]
IDLE_LIMIT = 20.0


@dataclass(frozen=True)
class Mix:
    """Who calls and serves, in which way of waiting."""

    name: str
    roles: str  # the package of the children's roles
    pool: int  # callbacks at once on each side: more than all lanes together, so none starves


MIXES = {
    mix.name: mix
    for mix in (Mix("blocking", "bench.soak", 32), Mix("asyncio", "bench.soak.aio", 100))
}


@dataclass
class Soak:
    """The processes, and what they have said."""

    children: dict[str, Child]
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def look(self) -> dict[str, dict[str, Any]]:
        """One sample of everybody, which is kept."""
        for child in self.children.values():
            child.say("sample")
        now = time.time()
        seen = {name: child.hear(60) | {"time": now} for name, child in self.children.items()}
        for name, sample in seen.items():
            self.samples.setdefault(name, []).append(sample)
        return seen

    def tell_callers(self, word: str) -> None:
        """Have all callers pause or resume; `ChildFailed` if a lane does not come to rest."""
        callers = [self.children[name] for name in CALLERS]
        for child in callers:
            child.say(word)
        for child in callers:
            if not all(child.hear(90).values()):
                raise ChildFailed(f"{child.role}: a call did not end{child.errors()}")

    def load(self, seconds: float, progress: Progress, task: Any) -> None:
        """Let the callers call, and look once a second."""
        self.tell_callers("resume")
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(1.0, left))
            seen = self.look()
            progress.advance(task, min(1.0, left))
            if any(seen[name]["problems"] for name in CALLERS):
                return  # a wrong answer does not get better by waiting

    def rest(self, least: Mapping[str, Mapping[str, Any]] | None) -> dict[str, dict[str, Any]]:
        """Hold the callers and wait until all is idle, or as long as `IDLE_LIMIT`."""
        self.tell_callers("pause")
        limit = time.monotonic() + IDLE_LIMIT
        while True:
            time.sleep(1.0)
            seen = self.look()
            moving = any(verdict.busy(sample) for sample in seen.values())
            more = least and any(verdict.left_over(least[name], seen[name]) for name in seen)
            if not (moving or more) or time.monotonic() > limit:
                return seen


def start(house: Household, mix: Mix, lanes: int, seed: int) -> Soak:
    """Start every process."""
    routed = {"host": "127.0.0.1", "port": free_port()}
    direct = {"host": "127.0.0.1", "port": free_port()}
    children: dict[str, Child] = {}

    def add(name: str, role: str, **order: Any) -> None:
        children[name] = house.start(sys.executable, role, {"name": name, **order})
        children[name].hear(60)

    add("router", "bench.soak.serving:router", address=routed)
    add("service", f"{mix.roles}.serving:service", address=direct, workers=mix.pool)
    for name in WORKERS:
        add(name, f"{mix.roles}.serving:worker", address=routed, workers=mix.pool)
    for name in CALLERS:
        order = {"lanes": lanes, "seed": seed, "workers": WORKERS, "pool": mix.pool}
        add(name, f"{mix.roles}.calling:caller", direct=direct, routed=routed, **order)
    return Soak(children)


def run(soak: Soak, mix: Mix, seconds: float, console: Console) -> list[str]:
    """The phases; what is wrong in the end, nothing if all is well."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"soak, {mix.name}", total=seconds)
        soak.load(seconds / 3, progress, task)
        before = soak.rest(None)
        mark = {name: len(samples) for name, samples in soak.samples.items()}
        soak.load(seconds - seconds / 3, progress, task)
        loaded = {name: samples[mark[name] :] for name, samples in soak.samples.items()}
        after = soak.rest(before)
    table = Table(title=f"soak, {mix.name}")
    for name in ("process", "memory, MiB", "fitted growth, MiB", "descriptors", "threads"):
        table.add_column(name, justify="left" if name == "process" else "right")
    reasons: list[str] = []
    for name, samples in loaded.items():
        was, now = before[name], after[name]
        line = verdict.trend([s["time"] for s in samples], [s["rss"] for s in samples])
        if line and line.leaks:
            reasons.append(f"{name}: memory grows, {line.growth / verdict.MIB:.1f} MiB")
        reasons += [f"{name}: left over, {what}" for what in verdict.left_over(was, now)]
        reasons += [f"{name}: idle, but {k} is {v:g}" for k, v in verdict.busy(now).items()]
        reasons += [f"{name}: {problem}" for problem in now.get("problems", [])]
        table.add_row(
            name,
            f"{was['rss'] / verdict.MIB:.1f} to {now['rss'] / verdict.MIB:.1f}",
            f"{line.growth / verdict.MIB:+.1f}" if line else "too short to tell",
            f"{was['fds']} to {now['fds']}",
            f"{was['threads']} to {now['threads']}",
        )
    console.print(table)
    _show_calls(after, console)
    return reasons


def _show_calls(after: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    done: Counter[str] = Counter()
    for name in CALLERS:
        done.update(after[name]["done"])
    table = Table(title=f"{done.total():,} calls")
    for name in ("kind", "calls", "of a hundred"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    for kind, count in sorted(done.items()):
        table.add_row(kind, f"{count:,}", f"{100 * count / done.total():.1f}")
    console.print(table)


def main(given: Sequence[str] | None = None) -> int:
    """Run the program; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="time under load (600)")
    parser.add_argument("--mix", choices=MIXES, help="this one alone, for the whole time")
    parser.add_argument("--threads", type=int, default=8, help="lanes of a blocking caller (8)")
    parser.add_argument("--tasks", type=int, default=32, help="lanes of an asyncio caller (32)")
    parser.add_argument("--seed", type=int, default=0, help="of the dice (0)")
    options = parser.parse_args(given)
    if options.seconds <= 0 or not 1 <= options.threads <= 12 or not 1 <= options.tasks <= 40:
        parser.error("--seconds is above zero, --threads between 1 and 12, --tasks 1 and 40")
    if not Path("/proc/self/statm").exists():
        parser.error("the soak reads /proc, which only Linux has")
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")
    console = Console(width=None if sys.stdout.isatty() else 100)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    facts = machine.facts()
    mixes = [MIXES[options.mix]] if options.mix else list(MIXES.values())
    reasons: list[str] = []
    samples: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for mix in mixes:
        soak = Soak({})
        lanes = options.threads if mix.name == "blocking" else options.tasks
        try:
            with Household() as house:
                soak = start(house, mix, lanes, options.seed)
                found = run(soak, mix, options.seconds / len(mixes), console)
        except ChildFailed as error:
            found = [str(error)]
        except KeyboardInterrupt:
            return 130
        reasons += [f"{mix.name}, {reason}" for reason in found]
        samples[mix.name] = soak.samples
    settings = ("seconds", "mix", "threads", "tasks", "seed")
    content = {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": facts,
        "settings": {key: getattr(options, key) for key in settings},
        "reasons": reasons,
        "samples": samples,
    }
    path = saved.write(saved.new("soak"), content)
    console.print(f"written to bench/results/{path.name}")
    for reason in reasons:
        console.print(reason, style="red", markup=False)
    console.print("flat" if not reasons else "[red]not flat[/red]")
    return int(bool(reasons))


if __name__ == "__main__":
    sys.exit(main())

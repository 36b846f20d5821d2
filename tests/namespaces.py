"""Another machine, as far as the network goes: a network namespace, with a cable to ours.

What runs there has a loopback of its own, and comes to us from an address that is not
ours. That takes Linux, root and `ip`; where they are missing `elsewhere` says so.
Everything is removed at the end. Imports the standard library only.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import sys
from types import TracebackType

_count = itertools.count(1)
_dice = random.SystemRandom()  # whatever a test has seeded
TRIES = 5


class UnavailableError(Exception):
    """There can be no namespace here, and why."""


class Elsewhere:
    """`address` is over there, `ours` is how we are reached from there."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise UnavailableError("network namespaces are Linux's")
        if shutil.which("ip") is None:
            raise UnavailableError("there is no `ip` command (iproute2)")
        if os.geteuid() != 0:
            raise UnavailableError("network namespaces take root")
        unique = f"{os.getpid() % 1_000_000}x{next(_count)}"
        self.name = f"daffi{unique}"
        self._cable = f"dv{unique}"
        self.ours = self.address = ""

    @property
    def within(self) -> tuple[str, ...]:
        """What a command begins with that is to run there."""
        return ("ip", "netns", "exec", self.name)

    def __enter__(self) -> Elsewhere:
        try:
            self._ip("netns", "add", self.name)
            self._lay_cable()
        except UnavailableError:
            self.remove()
            raise
        return self

    def _lay_cable(self) -> None:
        far = f"{self._cable}f"
        self._ip("link", "add", self._cable, "type", "veth", "peer", "name", far)
        self._ip("link", "set", far, "netns", self.name)
        # Addresses that are for tests of networks, and nobody's own; others may run such tests too.
        for _ in range(TRIES):
            net = f"198.{_dice.choice((18, 19))}.{_dice.randrange(256)}"
            if not self._ip("route", "show", f"{net}.0/30"):
                break
        self.ours, self.address = f"{net}.1", f"{net}.2"
        self._ip("addr", "add", f"{self.ours}/30", "dev", self._cable)
        self._ip("link", "set", self._cable, "up")
        for command in (
            ("addr", "add", f"{self.address}/30", "dev", far),
            ("link", "set", far, "up"),
            ("link", "set", "lo", "up"),
        ):
            self._ip("-n", self.name, *command)

    def _ip(self, *args: str) -> str:
        done = subprocess.run(["ip", *args], capture_output=True, text=True, timeout=20)
        if done.returncode != 0:
            raise UnavailableError(f"ip {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def remove(self) -> None:
        """Take away what was made, as far as it was."""
        for args in (("link", "del", self._cable), ("netns", "del", self.name)):
            subprocess.run(["ip", *args], capture_output=True, timeout=20)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()

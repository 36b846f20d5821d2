"""How the demo looks: with colours and moving bars in a terminal, as plain lines elsewhere.

Both ways have the same methods. Knows nothing of what is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

try:
    import rich.console
    import rich.markup
    import rich.progress
except ImportError:  # it is only paint
    painted = False
else:
    painted = True


class Bar(Protocol):
    """Progress of one scene."""

    def advance(self, by: float, note: str = "") -> None: ...


class Plain:
    """Lines that can be read in a file or a log."""

    def scene(self, number: int, of: int, title: str) -> None:
        print(f"\n{number}/{of}  {title}", flush=True)

    def say(self, text: str) -> None:
        print(f"     {text}", flush=True)

    def quote(self, text: str) -> None:
        for line in text.rstrip().splitlines():
            self.say(f"| {line}")

    @contextmanager
    def bar(self, what: str, total: float | None) -> Iterator[Bar]:
        """A line at every quarter; with no total, one line."""
        self.say(f"{what} ...")
        yield Quarters(self, what, total)


class Quarters:
    """The bar of `Plain`."""

    def __init__(self, screen: Plain, what: str, total: float | None) -> None:
        self._screen = screen
        self._what = what
        self._total = total
        self._done = 0.0
        self._said = 0

    def advance(self, by: float, note: str = "") -> None:
        self._done += by
        quarter = int(4 * self._done / self._total + 1e-9) if self._total else 0
        if self._said < quarter <= 4:
            self._said = quarter
            self._screen.say(f"{self._what}: {25 * quarter} % {note}".rstrip())


class Painted:
    """Colours and bars."""

    def __init__(self) -> None:
        self._console = rich.console.Console(highlight=False)

    def scene(self, number: int, of: int, title: str) -> None:
        self._console.print(f"\n[bold cyan]{number}/{of}[/]  [bold]{title}[/]")

    def say(self, text: str) -> None:
        self._console.print(f"     {rich.markup.escape(text)}", soft_wrap=True)

    def quote(self, text: str) -> None:
        for line in text.rstrip().splitlines():
            self._console.print(
                f"     [red]│[/] [dim]{rich.markup.escape(line)}[/]", soft_wrap=True
            )

    @contextmanager
    def bar(self, what: str, total: float | None) -> Iterator[Bar]:
        """A bar that fills, or wanders where there is no total."""
        progress = rich.progress.Progress(
            rich.progress.TextColumn("     {task.description}"),
            rich.progress.BarColumn(32),
            rich.progress.TextColumn("{task.fields[note]}"),
            rich.progress.TimeElapsedColumn(),
            console=self._console,
        )
        with progress:
            task = progress.add_task(what, total=total, note="")
            yield Moving(progress, task)
            progress.update(task, total=total or 1, completed=total or 1)


class Moving:
    """The bar of `Painted`."""

    def __init__(self, progress: rich.progress.Progress, task: rich.progress.TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, by: float, note: str = "") -> None:
        self._progress.update(self._task, advance=by, note=note)


Screen = Plain | Painted


def screen() -> Screen:
    """The one that suits where the output goes."""
    return Painted() if painted and sys.stdout.isatty() else Plain()

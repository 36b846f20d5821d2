"""A script as people write it, whose own classes and functions travel: `script.py URL`.

Prints one line per fact and then `left`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from telling import say

from daffi import Client


class Point:
    """Known to this script alone."""

    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __add__(self, other: Point) -> Point:
        return Point(self.x + other.x, self.y + other.y)

    def __repr__(self) -> str:
        return f"Point({self.x}, {self.y})"


def square(value: int) -> int:
    """Known to this script alone."""
    return value * value


def squares(count: int) -> Iterator[int]:
    """A generator function, which travels by value as any other."""
    yield from map(square, range(count))


def use_square(value: int) -> int:
    """Uses what else the script defines."""
    return square(value)


def main() -> None:
    with Client("script", url=sys.argv[1], expose=()) as conn:
        rpc = conn.rpc(timeout=10)
        say("instance", rpc.echo(Point(3, 4)))
        say("function", rpc.serde_call(square, 3))
        say("class", rpc.serde_call(Point, 1, 1))
        say("lambda", rpc.serde_call(lambda value: value + 1, 5))
        say("inner", rpc.serde_call(use_square, 5))
        say("result", rpc.add(Point(2, 3), Point(3, 3)))
        say("generator", rpc.serde_call(lambda function: list(function(3)), squares))
    say("left")


if __name__ == "__main__":
    main()

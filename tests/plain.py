"""What the tests of the two built-in formats share: the codecs, and values to write.

No test lives here. It may import `daffi._native`.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from daffi._native import decode_json, decode_msgpack, encode_json, encode_msgpack

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]
Codec = tuple[Encode, Decode]

JSON: Codec = (encode_json, decode_json)
MSGPACK: Codec = (encode_msgpack, decode_msgpack)
# A test that runs with either.
both = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])

RECORD = {
    "id": 17,
    "name": "Žofie Nováková",
    "ok": True,
    "note": None,
    "ratio": -0.1,
    "tags": ["a", "", 'b\n"\\\x00'],
    "deep": {"list": [[], {}, [1, [2, [3]]]]},
}


class Level(enum.IntEnum):
    LOW = 1


class Color(str, enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


class Meters(float):
    def __repr__(self) -> str:
        return "not a number"


def lists_for_tuples(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [lists_for_tuples(item) for item in value]
    if isinstance(value, dict):
        return {key: lists_for_tuples(item) for key, item in value.items()}
    return value


def plain(rng: random.Random, depth: int, binary: bool) -> Any:
    """A random value; with `binary`, one that only MSGPACK can say."""
    kind = rng.randrange(12 if depth else 7)
    if kind == 0:
        return None
    if kind == 1:
        return rng.random() < 0.5
    if kind == 2:
        sign = rng.choice((-1, 1))
        return max(-(2**63), sign * rng.getrandbits(rng.randrange(1, 64 if sign < 0 else 65)))
    if kind == 3:
        return rng.choice((0.0, -0.0, 1e300, 5e-324, rng.random(), rng.uniform(-1e30, 1e30)))
    if kind in (4, 5):
        return text(rng)
    if kind == 6:
        return rng.randbytes(rng.randrange(300)) if binary else text(rng)
    if kind in (7, 8):
        return [plain(rng, depth - 1, binary) for _ in range(rng.randrange(20))]
    if kind == 9:
        return tuple(plain(rng, depth - 1, binary) for _ in range(rng.randrange(4)))
    return {key(rng, binary): plain(rng, depth - 1, binary) for _ in range(rng.randrange(20))}


def text(rng: random.Random) -> str:
    alphabet = 'abc"\\/\n\x00\x7fžß水🦀\ufffd'
    return "".join(rng.choice(alphabet) for _ in range(rng.choice((0, 1, 7, 31, 32, 70, 300))))


def key(rng: random.Random, binary: bool) -> Any:
    choice = rng.randrange(5) if binary else 0
    if choice == 1:
        return rng.getrandbits(40)
    if choice == 2:
        return rng.randbytes(4)
    if choice == 3:
        return (rng.getrandbits(3), ("a", None))
    return text(rng)[:60]

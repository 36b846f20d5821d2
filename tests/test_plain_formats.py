"""JSON and MSGPACK as the engine writes and reads them: what survives.

Through the four functions that the engine shows for this purpose, without any node. What is
refused is in `test_plain_refusals`; sockets and calls never appear here.
"""

from __future__ import annotations

import collections
import json
import math
import random
import struct
import threading
from typing import Any

import pytest
from plain import (
    RECORD,
    Codec,
    Color,
    Level,
    Meters,
    Point,
    both,
    lists_for_tuples,
    plain,
    text,
)

from daffi._native import decode_json, decode_msgpack, encode_json, encode_msgpack


@both
@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -1, 127, 128, -32, -33, 2**31, -(2**31) - 1, 2**63, 2**64 - 1,
        -(2**63), 0.0, -0.0, 1.0, 0.1, 1e22, 1.7976931348623157e308, 5e-324, -1.5e-7,
        "", "a", "ž", "水", "🦀", "\x00\x1f\x7f\u2028", "x" * 70_000, [], {}, [[]], [{}], {"": {}},
        RECORD, list(range(70_000)), {str(n): n for n in range(70_000)},
    ],
    ids=lambda value: repr(value)[:24],
)  # fmt: skip
def test_a_value_comes_back(codec: Codec, value: Any) -> None:
    encode, decode = codec
    back = decode(encode(value))
    assert repr(back) == repr(value)


@both
def test_tuples_come_back_as_lists(codec: Codec) -> None:
    encode, decode = codec
    assert decode(encode(((1, (2,)), {"a": ()}))) == [[1, [2]], {"a": []}]


@both
def test_subclasses_are_written_as_what_they_derive_from(codec: Codec) -> None:
    encode, decode = codec
    ordered = collections.OrderedDict(b=1, a=2)
    ordered.move_to_end("b")
    value = [Level.LOW, Color.RED, Point(1, 2), Meters(2.5), ordered, {Color.RED: 1}]
    back = decode(encode(value))
    assert repr(back) == repr([1, "red", [1, 2], 2.5, {"a": 2, "b": 1}, {"red": 1}])
    assert decode(encode(collections.defaultdict(int, a=1))) == {"a": 1}
    assert decode(encode(collections.Counter("aab"))) == {"a": 2, "b": 1}
    assert json.loads(json.dumps(value)) == back


def test_random_values_agree_with_the_json_module() -> None:
    rng = random.Random(20)
    for _ in range(80):
        value = plain(rng, 5, binary=False)
        expected = repr(lists_for_tuples(value))
        ours = encode_json(value)
        assert repr(json.loads(ours)) == expected
        assert repr(decode_json(ours)) == expected
        assert repr(decode_json(json.dumps(value).encode())) == expected
        assert (
            repr(decode_json(json.dumps(value, ensure_ascii=False, indent=1).encode())) == expected
        )


def test_random_values_agree_with_the_msgpack_package() -> None:
    msgpack = pytest.importorskip("msgpack")
    rng = random.Random(21)
    for _ in range(80):
        value = plain(rng, 5, binary=True)
        ours = encode_msgpack(value)
        assert ours == msgpack.packb(value)
        assert repr(decode_msgpack(ours)) == repr(lists_for_tuples(value))


def test_random_floats_are_exact() -> None:
    rng = random.Random(22)
    floats = [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(20_000)]
    floats = [value for value in floats if math.isfinite(value)]
    assert decode_json(encode_json(floats)) == floats
    assert decode_json(json.dumps(floats).encode()) == floats
    assert json.loads(encode_json(floats)) == floats


def test_json_is_compact_utf8() -> None:
    assert encode_json({"ž": [1, "水", None, 1.0]}) == '{"ž":[1,"水",null,1.0]}'.encode()
    assert decode_json(rb' {"\u017e" : "\ud83e\udd80\n"} ') == {"ž": "🦀\n"}


def test_msgpack_has_bytes_nan_and_any_hashable_key() -> None:
    value = {
        1: b"",
        2.5: b"x" * 300,
        None: bytearray(b"y"),
        True + 1: 0,
        b"k": 1,
        (1, ("a", ())): 2,
    }
    expected = {1: b"", 2.5: b"x" * 300, None: b"y", 2: 0, b"k": 1, (1, ("a", ())): 2}
    assert repr(decode_msgpack(encode_msgpack(value))) == repr(expected)
    strided = memoryview(bytes(range(10)))[::3]
    assert decode_msgpack(encode_msgpack([strided, memoryview(b"abc")])) == [
        bytes([0, 3, 6, 9]),
        b"abc",
    ]
    assert (
        repr(decode_msgpack(encode_msgpack([math.inf, -math.inf, math.nan]))) == "[inf, -inf, nan]"
    )
    assert decode_msgpack(b"\xca\x3f\x80\x00\x00") == 1.0


def test_of_equal_keys_the_last_wins() -> None:
    assert decode_json(b'{"a": 1, "b": 2, "a": 3}') == {"a": 3, "b": 2}
    assert decode_msgpack(b"\x82\xa1a\x01\xa1a\x02") == {"a": 2}


# Keys are remembered between calls; nothing of that may show.


@both
def test_remembered_keys_never_show(codec: Codec) -> None:
    encode, decode = codec
    rng = random.Random(23)
    for _ in range(20):
        # Many that share length, beginning and end, and so their slot.
        value = {f"aaaaaaaa{rng.getrandbits(40):013}zzzzzzzz": n for n in range(300)}
        value |= {text(rng)[:60]: n for n in range(100)}
        assert decode(encode(value)) == value


@both
def test_threads_do_not_disturb_each_other(codec: Codec) -> None:
    encode, decode = codec
    failures: list[object] = []

    def work(seed: int) -> None:
        value = {f"key {seed} {n}": {"name": n, str(n * seed): "x"} for n in range(200)}
        data = encode(value)
        failures.extend(seed for _ in range(30) if decode(data) != value)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures

"""What JSON and MSGPACK refuse, writing and reading, and where they say that it was.

What survives is in `test_plain_formats`; sockets and calls never appear here.
"""

from __future__ import annotations

import collections
import math
import random
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from plain import RECORD, Codec, Color, Decode, Meters, both

from daffi._native import decode_json, decode_msgpack, encode_json, encode_msgpack
from daffi.exceptions import SerializationError


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


# What is refused in writing, and where it says that it was.


@both
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "object cannot be written as "),
        ({1, 2}, "set cannot be written as "),
        ([1j], r"at \[0\]: complex cannot be written as "),
        (collections.ChainMap(), "collections.ChainMap cannot be written as "),
        (2**64, "^an integer beyond 64 bits"),
        ([[0, 10**100]], r"^at \[0\]\[1\]: an integer beyond 64 bits"),
        (-(2**63) - 1, "an integer beyond 64 bits"),
        (((0, 1, {"a": [1, "\ud800"]}), {}), r"at \[0\]\[2\]\['a'\]\[1\]: .*lone surrogate"),
        (((), {"\udfff": 1}), r"at \[1\]\['\\udfff'\]: .*lone surrogate"),
        ({"k" * 100: object()}, r"at \['k{39}\.\.\.\]: object"),
        ({Color.RED: object()}, r"at \[<plain.Color>\]: object"),
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0][:24],
)
def test_a_refusal_names_the_place(codec: Codec, value: Any, message: str) -> None:
    with pytest.raises(SerializationError, match=message):
        codec[0](value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "^NaN is not JSON"),
        ([0, {"a": math.inf}], r"^at \[1\]\['a'\]: inf is not JSON"),
        (Meters("-inf"), "^-inf is not JSON"),
        ([{1: 2}], r"^at \[0\]: the key 1 is not a str"),
        ({None: 2}, "the key None is not a str"),
        ({(1, 2): 2}, "the key <tuple> is not a str"),
        ([b"x"], r"^at \[0\]: bytes cannot be written as JSON"),
        ([bytearray()], "bytes cannot be written as JSON"),
        ([memoryview(b"")], "bytes cannot be written as JSON"),
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0][:24],
)
def test_what_only_json_refuses(value: Any, message: str) -> None:
    with pytest.raises(SerializationError, match=message):
        encode_json(value)


def test_msgpack_refuses_keys_that_are_no_plain_values() -> None:
    class HashableDict(dict[str, int]):
        def __hash__(self) -> int:  # type: ignore[override]
            return 1

    with pytest.raises(SerializationError, match="a dict cannot be a key"):
        encode_msgpack({(HashableDict(),): 1})
    with pytest.raises(SerializationError, match="frozenset cannot be written as MSGPACK"):
        encode_msgpack({frozenset(): 1})
    with pytest.raises(SerializationError, match="cannot be a key"):
        decode_msgpack(b"\x81\x80\x01")
    with pytest.raises(SerializationError, match="cannot be a key"):
        decode_msgpack(b"\x81\x91\x80\x01")


@both
def test_changing_while_written_is_an_error(codec: Codec) -> None:
    class Vandal(dict[str, int]):
        def __init__(self, harm: Callable[[], object]) -> None:
            super().__init__(a=1)
            self.harm = harm

        def items(self) -> Any:
            self.harm()
            return [("a", 1)]

    row: list[Any] = []
    row += [Vandal(row.clear), 1]
    table: dict[str, Any] = {}
    table |= {"v": Vandal(table.clear), "w": 1}
    other: dict[str, Any] = {}
    other |= {"v": Vandal(lambda: [other.pop("w"), other.update(x=1)]), "w": 1}
    for value in (row, table):
        with pytest.raises(SerializationError, match="changed while it was written"):
            codec[0](value)
    assert set(codec[1](codec[0](other))) == {"v", "x"}


@both
def test_errors_of_items_are_the_cause(codec: Codec) -> None:
    class Broken(dict[str, int]):
        def __init__(self, outcome: Any) -> None:
            self.outcome = outcome

        def items(self) -> Any:
            if isinstance(self.outcome, BaseException):
                raise self.outcome
            return self.outcome

    with pytest.raises(SerializationError, match=r"at \[0\]: .*oops") as caught:
        codec[0]([Broken(RuntimeError("oops"))])
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(KeyboardInterrupt):
        codec[0]([Broken(KeyboardInterrupt())])
    for outcome in ([1], [(1, 2, 3)], [("a",)]):
        with pytest.raises(SerializationError, match="did not give pairs"):
            codec[0](Broken(outcome))


# Depth.


@both
def test_depth_is_limited_in_both_directions(codec: Codec) -> None:
    encode, decode = codec
    deepest = encode(nested(128))
    assert decode(deepest) == nested(128)
    with pytest.raises(SerializationError, match="more than 128 lists and dicts"):
        encode(nested(129))
    one_more = b"[" + deepest + b"]" if encode is encode_json else b"\x91" + deepest
    with pytest.raises(SerializationError, match="more than 128 lists and dicts"):
        decode(one_more)


@both
def test_a_cycle_ends_as_too_deep(codec: Codec) -> None:
    row: list[Any] = []
    row.append(row)
    table: dict[str, Any] = {}
    table["self"] = (table,)
    for value in (row, table):
        with pytest.raises(
            SerializationError, match=r"^at (\[('self'|0)\]){40}\.\.\.: more than 128"
        ):
            codec[0](value)


@pytest.mark.parametrize(
    ("decode", "data"),
    [
        (decode_json, b"["),
        (decode_json, b'{"a":'),
        (decode_msgpack, b"\x91"),
        (decode_msgpack, b"\x81\xa1a"),
        (decode_msgpack, b"\x81\x91"),
        (decode_msgpack, b"\x81"),
    ],
)
def test_hostile_depth_harms_nobody(decode: Decode, data: bytes) -> None:
    with pytest.raises(SerializationError, match=r"more than 128|cannot be a key"):
        decode(data * 1_000_000)


# What is refused in reading.


@both
def test_every_prefix_is_refused(codec: Codec) -> None:
    encode, decode = codec
    data = encode(((RECORD, [RECORD] * 2), {"name": "x" * 300}))
    for cut in range(len(data)):
        with pytest.raises(SerializationError):
            decode(data[:cut])


@both
def test_anything_after_the_value_is_refused(codec: Codec) -> None:
    encode, decode = codec
    values: list[Any] = [1, "a", [], RECORD]
    for value in values:
        for rest in (b"\x00", b"1", b"\xff", b"\x91", b"]", encode(value)):
            if encode is encode_json and value == 1 and rest == b"1":
                continue
            with pytest.raises(SerializationError):
                decode(encode(value) + rest)
    assert decode_json(b" 1 \n") == 1


@both
def test_garbage_is_a_value_or_a_refusal(codec: Codec) -> None:
    encode, decode = codec
    rng = random.Random(24)
    good = encode(RECORD)
    for _ in range(3000):
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        for data in (bytes(bad), rng.randbytes(rng.randrange(40))):
            try:
                decode(data)
            except SerializationError as error:
                assert str(error)


@pytest.mark.parametrize(
    "data",
    [
        b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff", b"\x91\xdd\xff\xff\xff\xff\x01", b"\x81\xdd\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff" * 100, b"\xdf\xff\xff\xff\xff\x01" * 100,
    ],
)  # fmt: skip
def test_announced_lengths_allocate_nothing(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(SerializationError, match="end too early"):
            decode_msgpack(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "EOF"),
        (b"\xff", "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'\xef\xbb\xbf""', "expected value"),
        (b'{"a": [1, "\\ud800"]}', r"^at \['a'\]\[1\]: .*surrogate"),
        (b'"\\udc00"', "surrogate"),
        (b"NaN", "expected"),
        (b"[Infinity]", "expected"),
        (b"1e400", "out of range"),
        (b"{1: 2}", "key must be a string"),
        (b"[1,]", "trailing comma"),
        (b"'a'", "expected value"),
        (b"01", "number"),
        (b'"\n"', "control character"),
        (b"18446744073709551616", "beyond 64 bits at byte 0"),
        (b"[1e30, -9223372036854775809]", "beyond 64 bits at byte 7"),
        (b'{"a\\\\": 99999999999999999999}', "beyond 64 bits at byte 8"),
        (b'{"a\\"": ["1", 1' + b"0" * 300 + b"]}", "beyond 64 bits at byte 14"),
    ],
)
def test_what_is_not_json(data: bytes, message: str) -> None:
    with pytest.raises(SerializationError, match=message):
        decode_json(data)


def test_wide_floats_and_digits_in_text_are_no_wide_integers() -> None:
    data = (
        b"[1e30, -1" + b"0" * 20 + b'.0, "100000000000000000000", "\\"99999999999999999999", 2E+20]'
    )
    assert decode_json(data) == [
        1e30,
        -1e20,
        "100000000000000000000",
        '"99999999999999999999',
        2e20,
    ]


@pytest.mark.parametrize(
    "header", [b"\xd4\x01", b"\xd8\x01", b"\xc7\x10\x01", b"\xc8\x00\x10\x01", b"\xd6\xff"]
)
def test_msgpack_extensions_are_refused(header: bytes) -> None:
    with pytest.raises(SerializationError, match=r"^at \[0\]: a MSGPACK extension type"):
        decode_msgpack(b"\x91" + header + bytes(16))


def test_the_byte_that_msgpack_never_uses() -> None:
    with pytest.raises(SerializationError, match=r"^at \[0\]: the byte 0xc1"):
        decode_msgpack(b"\x91\xc1")


@pytest.mark.parametrize("length", [1, 2, 31, 32, 0xC4, 0xD9, 0x0100, 0xC405, 0xDA05, 0x1C405])
@pytest.mark.parametrize(
    "before", [b"\xc4", b"\xc5\x00", b"\xc6\x00\x00", b"\xd9", b"\xda\xc4", b"\x00"]
)
def test_bin_is_bytes_and_str_must_be_utf8_whatever_its_header(length: int, before: bytes) -> None:
    content = b"\xff" * length
    # A str ends in bytes that could be taken for the header of a bin.
    lead = b"\x92" + b"\xc4" + bytes([len(before)]) + before
    sizes = [
        (size, form) for size, form in ((1, ">B"), (2, ">H"), (4, ">I")) if length < 1 << 8 * size
    ]
    for size, form in sizes:
        bin_marker, str_marker = {1: (0xC4, 0xD9), 2: (0xC5, 0xDA), 4: (0xC6, 0xDB)}[size]
        announced = struct.pack(form, length)
        assert decode_msgpack(lead + bytes([bin_marker]) + announced + content) == [before, content]
        with pytest.raises(SerializationError, match=r"^at \[1\]: a MSGPACK str that is not UTF-8"):
            decode_msgpack(lead + bytes([str_marker]) + announced + content)
    if length < 32:
        with pytest.raises(SerializationError, match="not UTF-8"):
            decode_msgpack(lead + bytes([0xA0 | length]) + content)
    with pytest.raises(SerializationError, match="not UTF-8"):
        decode_msgpack(b"\x81\xa1\xff\x01")

"""The golden frames in `vectors/`, read by a decoder that was written from `docs/protocol.md`.

It knows nothing of the engine and uses nothing but `struct` and `hmac`, so that page and frames
are held together; the Rust tests hold frames and engine together. Imports nothing of ours.
"""

from __future__ import annotations

import hmac
import json
import re
import struct
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "protocol.md"

KINDS = {
    0x01: "HELLO", 0x02: "CHALLENGE", 0x03: "PROOF", 0x04: "WELCOME", 0x05: "GOODBYE",
    0x06: "PING", 0x07: "CREDIT", 0x08: "ANNOUNCE", 0x09: "LEAVING", 0x10: "CALL",
    0x11: "ANSWER", 0x12: "FAILURE", 0x13: "CANCEL", 0x14: "TARGETS", 0x20: "OPEN",
    0x21: "ITEM", 0x22: "END", 0x30: "PIECE", 0x31: "ABORT", 0x40: "ASK", 0x41: "WATCH",
    0x42: "PRESENCE",
}  # fmt: skip
FLAGS = {1: "ONEWAY", 2: "CAST", 4: "PART", 8: "TEXT"}
FORMATS = {0: "NOTHING", 1: "PICKLE", 2: "JSON", 3: "MSGPACK", 4: "OPAQUE"}
KEYS = {
    0x01: "FUNCTION", 0x02: "RECEIVER", 0x03: "DEADLINE", 0x04: "CHAIN", 0x05: "ORIGIN",
    0x06: "HOPS", 0x07: "WORKER", 0x08: "TRANSFER", 0x09: "TOTAL", 0x0A: "LAYOUT",
    0x81: "TRACE", 0x82: "PRIORITY",
}  # fmt: skip
NAMES = {"FUNCTION", "RECEIVER", "WORKER"}
NUMBERS = {"DEADLINE", "CHAIN", "TRANSFER", "TOTAL"}
READ_ONLY = 1 << 63
# Bodies that are MessagePack whatever the format: what each must be, and its keys that must be.
BODIES: dict[str, tuple[type, set[str]]] = {
    "HELLO": (dict, {"name", "incarnation", "limits"}),
    "CHALLENGE": (dict, {"nonce", "name", "incarnation"}),
    "PROOF": (dict, {"nonce", "proof"}),
    "WELCOME": (dict, {"name", "incarnation", "limits"}),
    "GOODBYE": (dict, {"kind", "ran", "message"}),
    "FAILURE": (dict, {"kind", "ran", "message"}),
    "ANNOUNCE": (dict, {"functions"}),
    "ASK": (dict, {"ask"}),
    "TARGETS": (list, set()),
    "PRESENCE": (list, set()),
}


class RefusedError(Exception):
    """Bytes that no peer may send; the argument is the kind of fault."""


class Frame(NamedTuple):
    """One frame, with names for its numbers."""

    kind: str
    format: str
    flags: list[str]
    id: int
    fields: list[list[Any]]
    body: bytes


def read_frame(data: bytes, limit: int) -> tuple[Frame | None, bytes] | None:
    """Return a frame (or `None` for one to be skipped) and the rest; `None` if bytes miss."""
    if len(data) < 16:
        return None
    length, kind, bits, fields_length, number = struct.unpack_from("<IBBHQ", data)
    if length > limit:
        raise RefusedError("too_long")
    if fields_length > length or number >= 1 << 53:
        raise RefusedError("malformed")
    if kind not in KINDS and not kind & 0x80:
        raise RefusedError("unknown_kind")
    if bits >> 4 not in FORMATS:
        raise RefusedError("unknown_format")
    if len(data) < 16 + length:
        return None
    fields = read_fields(data[16 : 16 + fields_length])
    body, rest = data[16 + fields_length : 16 + length], data[16 + length :]
    if kind not in KINDS:
        return None, rest
    flags = [name for bit, name in FLAGS.items() if bits & bit]
    return Frame(KINDS[kind], FORMATS[bits >> 4], flags, number, fields, body), rest


def read_fields(data: bytes) -> list[list[Any]]:
    fields: list[list[Any]] = []
    while data:
        if len(data) < 3:
            raise RefusedError("malformed")
        key, length = struct.unpack_from("<BH", data)
        value, data = data[3 : 3 + length], data[3 + length :]
        if len(value) < length:
            raise RefusedError("malformed")
        if key not in KEYS and not key & 0x80:
            raise RefusedError("unknown_field")
        fields.append([KEYS.get(key, f"0x{key:02x}"), read_value(KEYS.get(key), value)])
    return fields


def read_value(key: str | None, value: bytes) -> Any:
    if key in NAMES:
        return read_name(value)
    if key in NUMBERS:
        return read_numbers(value, 1)[0]
    if key == "ORIGIN":
        if not value:
            raise RefusedError("malformed")
        return {"trusted": value[0] == 1, "name": read_name(value[1:])}
    if key == "LAYOUT":
        if not value:
            raise RefusedError("malformed")
        numbers = read_numbers(value, len(value) // 8)
        return [{"length": n & ~READ_ONLY, "read_only": bool(n & READ_ONLY)} for n in numbers]
    return {"hex": value.hex()}


def read_name(value: bytes) -> str:
    try:
        name = value.decode()
    except UnicodeDecodeError:
        raise RefusedError("malformed") from None
    if len(value) > 255:
        raise RefusedError("malformed")
    return name


def read_numbers(value: bytes, count: int) -> list[int]:
    if len(value) != 8 * count:
        raise RefusedError("malformed")
    return list(struct.unpack(f"<{count}Q", value))


def unpack(data: bytes) -> tuple[Any, bytes]:
    """Read one MessagePack value of the sorts that bodies are made of; return the rest too."""
    first, data = data[0], data[1:]
    if first < 0x80:
        return first, data
    if first < 0xC0:
        sort, count = {0x80: "map", 0x90: "array"}.get(first & 0xF0, "str"), first & 0x0F
        if sort == "str":
            count = first & 0x1F
    elif first in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[first], data
    else:
        sort, size = {
            0xC4: ("bin", 1), 0xC5: ("bin", 2), 0xC6: ("bin", 4), 0xCC: ("int", 1),
            0xCD: ("int", 2), 0xCE: ("int", 4), 0xCF: ("int", 8), 0xD9: ("str", 1),
            0xDA: ("str", 2), 0xDB: ("str", 4), 0xDC: ("array", 2), 0xDD: ("array", 4),
            0xDE: ("map", 2), 0xDF: ("map", 4),
        }[first]  # fmt: skip
        count, data = int.from_bytes(data[:size], "big"), data[size:]
    if sort == "int":
        return count, data
    if sort in ("str", "bin"):
        value, data = data[:count], data[count:]
        if len(value) < count:
            raise IndexError
        return (value.decode() if sort == "str" else {"hex": value.hex()}), data
    parts = []
    for _ in range(count * (2 if sort == "map" else 1)):
        part, data = unpack(data)
        parts.append(part)
    if sort == "map":
        return dict(zip(parts[::2], parts[1::2], strict=True)), data
    return parts, data


def read_body(frame: Frame) -> Any:
    """Read a body that nodes write themselves; refuse one that says too little."""
    if frame.kind == "CREDIT":
        one = "ONEWAY" in frame.flags or "CAST" in frame.flags
        return read_numbers(frame.body, 1 if one else 2)
    try:
        value, rest = unpack(frame.body)
    except (IndexError, KeyError, UnicodeDecodeError):
        raise RefusedError("body") from None
    sort, keys = BODIES.get(frame.kind, (object, set()))
    wrong = bool(rest) or not isinstance(value, sort)
    wrong = wrong or not all(key in value for key in keys)
    if not wrong and frame.kind == "ASK":
        wrong = value["ask"] not in ("members", "wait_members", "wait_function", "stats")
    if wrong or (frame.kind == "PRESENCE" and len(value) != 2):
        raise RefusedError("body")
    return value


def entries(*files: str) -> list[Any]:
    loaded = [json.loads((HERE / "vectors" / file).read_text("utf-8")) for file in files]
    return [pytest.param(entry, id=entry["name"]) for file in loaded for entry in file]


@pytest.mark.parametrize("entry", entries("session.json", "calls.json", "flow.json"))
def test_golden_frames_say_what_the_page_says(entry: dict[str, Any]) -> None:
    rest, came = bytes.fromhex(entry["hex"]), []
    while (read := read_frame(rest, 1_179_648)) is not None:
        frame, rest = read
        if frame is not None:
            came.append(frame)
    assert len(came) == len(entry["frames"])
    for frame, said in zip(came, entry["frames"], strict=True):
        body = said["body"]
        described = {key: said[key] for key in ("kind", "format", "flags", "id", "fields")}
        assert frame._replace(body=b"")._asdict() == {**described, "body": b""}
        if "numbers" in body:
            assert read_body(frame) == body["numbers"]
        elif "msgpack" in body:
            assert read_body(frame) == body["msgpack"]
        else:
            text = body.get("text", "").encode()
            assert frame.body == (bytes.fromhex(body["hex"]) if "hex" in body else text)
            assert frame.kind not in BODIES


@pytest.mark.parametrize("entry", entries("invalid.json"))
def test_invalid_frames_are_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as refused:
        read = read_frame(bytes.fromhex(entry["hex"]), entry["limit"])
        assert read is not None
        assert read[0] is not None
        read_body(read[0])
    assert refused.value.args == (entry["error"],)


@pytest.mark.parametrize("entry", entries("first_bytes.json"))
def test_the_first_bytes_tell_who_is_there(entry: dict[str, Any]) -> None:
    first, refusal = bytes.fromhex(entry["first"]), entry["refusal"]
    magic = b"\xdaffi"
    ours = first[:4] == magic[: len(first)]
    assert (refusal is None) == ours
    if len(first) == 8 and ours:
        assert (first[4], first[5], first[6:]) == (entry["lowest"], entry["highest"], b"\0\0")
    answer = bytes.fromhex(refusal or "")
    if first[:1] == b"\x16":
        assert answer == bytes.fromhex("15030100020228")
    elif refusal is not None:
        assert answer.endswith(b"\r\n")


@pytest.mark.parametrize("entry", entries("token.json"))
def test_proofs_are_made_as_the_page_says(entry: dict[str, Any]) -> None:
    client, server = entry["client"], entry["server"]
    for prover in ("client", "server"):
        parts = [
            b"daffi token 1",
            prover.encode(),
            *(bytes.fromhex(side["nonce"]) for side in (client, server)),
            *(side["name"].encode() for side in (client, server)),
            *(bytes.fromhex(side["incarnation"]) for side in (client, server)),
            bytes.fromhex(entry["binding"] or ""),
        ]
        said = b"".join(struct.pack("<H", len(part)) + part for part in parts)
        assert said.hex() == entry[f"{prover}_bytes"]
        proof = hmac.new(entry["token"].encode(), said, "sha256").hexdigest()
        assert proof == entry[f"{prover}_proof"]


def test_the_page_names_every_number() -> None:
    page = PAGE.read_text("utf-8")
    for number, name in KINDS.items():
        assert f"| `0x{number:02X}` | {name} |" in page
    for number, name in KEYS.items():
        assert f"| `0x{number:02X}` | {name} |" in page
    for number, name in FORMATS.items():
        assert f"| {number} | {name} |" in page


def test_the_example_of_the_page_is_a_golden_frame() -> None:
    block = PAGE.read_text("utf-8").split("```text\n")[-1].split("```")[0]
    lines = (re.match(r"(?:[0-9a-f]{2} )*[0-9a-f]{2}(?=  )", line) for line in block.splitlines())
    data = bytes.fromhex("".join(line[0] for line in lines if line))
    calls = json.loads((HERE / "vectors" / "calls.json").read_text("utf-8"))
    assert data.hex() == calls[0]["hex"]

"""The four formats: what Python does to arguments and results before they travel and after.

JSON and MSGPACK are written and read by the engine, so for them the plain objects pass through
here untouched; PICKLE and OPAQUE are made here. Nothing that knows of calls, nodes or
connections may live here. Imports only `daffi.exceptions` of ours; cloudpickle only when a
value needs it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any

from daffi.exceptions import SerializationError

OUT_OF_BAND = 64 * 1024  # bytes; from here on a buffer travels beside the pickle
MOST_BUFFERS = 1000
_MAIN = b"\x8c\x08__main__"  # how protocol 5 spells a module or a string of that name
_BYTES = frozenset({bytes, bytearray})
_HOLDERS = frozenset({list, tuple, dict})
_SCALARS = frozenset({int, float, str, bool, type(None)})

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class SerdeFormat(IntEnum):
    """How arguments and results are written. `SerdeFormat("json")` works too, in any case."""

    PICKLE = 1
    JSON = 2
    MSGPACK = 3
    OPAQUE = 4

    @classmethod
    def of(cls, serde: SerdeFormat | str) -> SerdeFormat:
        """The format of that name, or itself; `ValueError` names those that there are."""
        return cls(serde)  # type: ignore[arg-type]  # a name: see _missing_

    @classmethod
    def _missing_(cls, value: object) -> SerdeFormat:
        if isinstance(value, str):
            found = cls.__members__.get(value.upper())
            if found is not None:
                return found
        raise ValueError(f"no such serde: {value!r}; there are {', '.join(cls.__members__)}")


_PICKLE = int(SerdeFormat.PICKLE)  # as numbers, which compare faster
_OPAQUE = int(SerdeFormat.OPAQUE)


def pack_arguments(format: int, args: tuple[Any, ...], kwargs: dict[str, Any], borrow: bool) -> Any:
    """The payload of a call.

    `borrow`: the caller's buffers stay as they are until the call is done, so that large ones
    need not be copied. Raises `SerializationError` for what can't be pickled, `TypeError` for
    arguments that OPAQUE does not take.
    """
    return argument_packer(format, borrow)(args, kwargs)


def argument_packer(format: int, borrow: bool) -> Callable[[tuple[Any, ...], dict[str, Any]], Any]:
    """The function that makes payloads of arguments: `pack_arguments` with the first and the
    last parameter filled in."""
    return _PACKERS[format, borrow]


def pack_result(format: int, value: Any) -> Any:
    """The payload of an answer. Raises as `pack_arguments` does.

    Large buffers are not copied here; the engine copies those that somebody may still write to.
    """
    if format == _PICKLE:
        if _is_short(value):
            return pickle.dumps(value, 5)
        if _any_large((value,)):
            value = _lift_all((value,), True)[0]
        return _pickle(value, True, "it")
    if format == _OPAQUE:
        if value is None:
            return None
        if isinstance(value, bytearray):
            return memoryview(value)  # of which the engine can tell who else has its memory
        return _opaque(value, True, "an OPAQUE callback returns bytes, str or None")
    return value


def unpack_arguments(format: int, payload: Any) -> Arguments:
    """Positional and keyword arguments from a payload; `SerializationError` if it is none."""
    if format == _OPAQUE:
        return (payload,), {}
    if format == _PICKLE:
        try:
            payload = pickle.loads(payload) if type(payload) is not list else _join(payload)
        except Exception as error:
            raise _refusal("the arguments", "unpickled", error) from error
    try:
        args, kwargs = payload
        if type(kwargs) is dict:
            if type(args) is tuple:
                return args, kwargs
            if isinstance(args, (tuple, list)):
                return tuple(args), kwargs
    except Exception:
        pass
    raise SerializationError("the arguments can't be read: they are no (args, kwargs)")


def unpack_result(format: int, payload: Any) -> Any:
    """The result from a payload; `SerializationError` if it can't be read."""
    if format != _PICKLE:
        return payload
    try:
        return pickle.loads(payload) if type(payload) is not list else _join(payload)
    except Exception as error:
        raise _refusal("the result", "unpickled", error) from error


def dumps(value: Any) -> bytes:
    """One pickle with everything in it, by value where that is needed."""
    payload = _pickle(value, False, "the value", aside=False)
    assert isinstance(payload, bytes)
    return payload


# PICKLE


def _is_short(value: Any) -> bool:
    """Whether nothing in a pickle of it is set aside, or has to travel by value."""
    kind = type(value)
    return kind in _SCALARS or (kind is bytes and len(value) < OUT_OF_BAND)


def _pickle_packer(borrow: bool) -> Callable[[tuple[Any, ...], dict[str, Any]], Any]:
    def pack(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for value in args:  # as `_is_short` does: its frame would cost each argument as much
            kind = type(value)
            if kind not in _SCALARS and (kind is not bytes or len(value) >= OUT_OF_BAND):
                return _pickle_any(args, kwargs, borrow)
        return _pickle_any(args, kwargs, borrow) if kwargs else pickle.dumps((args, kwargs), 5)

    return pack


def _pickle_any(args: tuple[Any, ...], kwargs: dict[str, Any], borrow: bool) -> Any:
    if _any_large(args):
        args = _lift_all(args, borrow)
    if kwargs and _any_large(kwargs.values()):
        values = _lift_all(kwargs.values(), borrow)
        kwargs = dict(zip(kwargs, values, strict=True))
    return _pickle((args, kwargs), borrow, "the arguments")


def _pickle(lifted: Any, borrow: bool, what: str, aside: bool = True) -> Any:
    """Pickle what `_lift_all` has been over, with its large buffers set aside."""
    # Nearly always there is no buffer and nothing to refuse: a sixth faster for a small record.
    buffers: list[pickle.PickleBuffer] = []
    try:
        data = pickle.dumps(lifted, 5, buffer_callback=buffers.append)
    except Exception:
        return _pickle_choosing(lifted, borrow, what, aside)
    if buffers or _MAIN in data:
        return _pickle_choosing(lifted, borrow, what, aside)
    return data


def _pickle_choosing(lifted: Any, borrow: bool, what: str, aside: bool) -> Any:
    payload: list[Any] = [b""]

    def set_aside(buffer: pickle.PickleBuffer) -> bool:
        """Whether the buffer stays in the pickle."""
        try:
            view = buffer.raw()
        except BufferError:  # not contiguous
            return True
        if view.nbytes < OUT_OF_BAND or len(payload) > MOST_BUFFERS:
            return True
        if not (aside and (borrow or view.readonly)):
            return True
        payload.append(view)
        return False

    try:
        data = pickle.dumps(lifted, 5, buffer_callback=set_aside)
        if _MAIN in data:
            del payload[1:]
            data = _by_value(lifted, set_aside)
    except (pickle.PicklingError, AttributeError, TypeError) as refusal:
        del payload[1:]
        try:
            data = _by_value(lifted, set_aside)
        except Exception:
            raise _refusal(what, "pickled", refusal) from refusal
    except Exception as error:
        raise _refusal(what, "pickled", error) from error
    if len(payload) == 1:
        return data
    payload[0] = data
    return payload


def _by_value(value: Any, set_aside: Callable[[pickle.PickleBuffer], bool]) -> bytes:
    import cloudpickle

    data: bytes = cloudpickle.dumps(value, 5, buffer_callback=set_aside)
    return data


def _join(parts: list[Any]) -> Any:
    return pickle.loads(parts[0], buffers=parts[1:])


def _refusal(what: str, done: str, error: Exception) -> SerializationError:
    refused = SerializationError(
        f"{what} can't be {done}: {type(error).__name__}: {str(error)[:1000]}"
    )
    refused.ran = what == "the result"  # which is only read here; the arguments are not sent
    return refused


def _any_large(values: Iterable[Any]) -> bool:
    """Whether `_lift_all` would find something; most calls have nothing of the kind."""
    for value in values:
        kind = type(value)
        if kind in _BYTES:
            if len(value) >= OUT_OF_BAND:
                return True
        elif kind in _HOLDERS and len(value) <= MOST_BUFFERS:
            for item in value.values() if kind is dict else value:
                if type(item) in _BYTES and len(item) >= OUT_OF_BAND:
                    return True
    return False


def _lift_all(values: Iterable[Any], borrow: bool) -> tuple[Any, ...]:
    """The values, large bytes among them and in lists, tuples and dicts among them wrapped.

    An object that is there again is not wrapped again: pickle writes it once and refers to it.
    """
    seen: set[int] = set()
    lifted: list[Any] = []
    for value in values:
        kind = type(value)
        if kind in _HOLDERS and _any_large((value,)):
            if kind is dict:
                value = {key: _lift(item, borrow, seen) for key, item in value.items()}
            else:
                value = kind(_lift(item, borrow, seen) for item in value)
        else:
            value = _lift(value, borrow, seen)
        lifted.append(value)
    return tuple(lifted)


def _lift(value: Any, borrow: bool, seen: set[int]) -> Any:
    kind = type(value)
    large = kind in _BYTES and len(value) >= OUT_OF_BAND and (borrow or kind is bytes)
    if large and id(value) not in seen:
        seen.add(id(value))
        return pickle.PickleBuffer(value)
    return value


# OPAQUE


def _opaque_packer(borrow: bool) -> Callable[[tuple[Any, ...], dict[str, Any]], Any]:
    def pack(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) == 1 and not kwargs and type(args[0]) is bytes:
            return args[0]  # nearly always
        return _one_opaque(args, kwargs, borrow)

    return pack


def _one_opaque(args: tuple[Any, ...], kwargs: dict[str, Any], borrow: bool) -> Any:
    rule = "OPAQUE takes exactly one positional bytes, bytearray, memoryview or str"
    if kwargs or len(args) != 1:
        raise TypeError(f"{rule}, not {len(args)} positional and {len(kwargs)} keyword arguments")
    return _opaque(args[0], borrow, rule)


def _opaque(value: Any, borrow: bool, rule: str) -> Any:
    if isinstance(value, (bytes, str)):
        return value
    if isinstance(value, bytearray):
        return value if borrow else bytes(value)
    if isinstance(value, memoryview):
        if not borrow or not value.c_contiguous:
            return value.tobytes()
        return value.cast("B") if value.nbytes else b""
    raise TypeError(f"{rule}, not {type(value).__name__}")


# JSON and MSGPACK


def _plain_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args, kwargs


_PACKERS: dict[tuple[int, bool], Callable[[tuple[Any, ...], dict[str, Any]], Any]] = {
    (SerdeFormat.PICKLE, True): _pickle_packer(True),
    (SerdeFormat.PICKLE, False): _pickle_packer(False),
    (SerdeFormat.JSON, True): _plain_arguments,
    (SerdeFormat.JSON, False): _plain_arguments,
    (SerdeFormat.MSGPACK, True): _plain_arguments,
    (SerdeFormat.MSGPACK, False): _plain_arguments,
    (SerdeFormat.OPAQUE, True): _opaque_packer(True),
    (SerdeFormat.OPAQUE, False): _opaque_packer(False),
}

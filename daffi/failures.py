"""The worker's side of a failure: an exception taken apart so that it can travel.

The other side, which puts it together again, is `exceptions.from_failure`. Everything here is
bounded and never raises, whatever the exception does. Imports `exceptions` of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from daffi.exceptions import (
    RemoteCallError,
    arguments_of,
    builtin_of,
    may_be_rebuilt,
    original_of,
    state_of,
)

_TEXT = 64 * 1024  # bytes of a message or a traceback that travel
_PICKLED = 512 * 1024  # bytes of a pickled exception that travel


def describe(
    exc: BaseException, dumps: Callable[[Any], bytes] | None = None
) -> tuple[str, str, str, tuple[Any, ...] | None, bytes | None]:
    """Take an exception apart so that it can travel; never raises.

    Returns the name of its type, its message (at most 64 KiB), its traceback as text (bounded
    too), its arguments if all of them are plain values, and itself pickled with `dumps`. Give
    `dumps` only when the call came as PICKLE. Our own frames, above the callback's, are left out
    of the traceback.
    """
    return (_type_name(exc), _message(exc), _traceback(exc), _plain_arguments(exc),
            _pickled(exc, dumps) if dumps is not None else None)  # fmt: skip


def _type_name(exc: BaseException) -> str:
    if isinstance(exc, RemoteCallError) and exc.remote_type:
        return exc.remote_type
    kind = type(exc)
    name = str(kind.__qualname__)
    return _cut(name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}", 1024)


def _message(exc: BaseException) -> str:
    try:
        if isinstance(exc, RemoteCallError) and original_of(exc) is None:
            return _cut(BaseException.__str__(exc))
        return _cut(str(exc))
    except Exception as error:
        return f"<its text could not be made: {type(error).__name__}>"


def _traceback(exc: BaseException) -> str:
    import traceback

    start = exc.__traceback__
    while start is not None and _is_ours(start.tb_frame.f_globals):
        start = start.tb_next
    try:
        # Negative: the frames next to where it was raised.
        lines = traceback.format_exception(type(exc), exc, start, limit=-100)
        text = "".join(lines)
    except Exception:
        return f"{_type_name(exc)}: {_message(exc)}\n"
    if len(text) > _TEXT // 2:
        # Half, because a character may take two bytes and more; what is left is cut below.
        text = f"{text[: _TEXT // 8]}\n  ... cut ...\n{text[-_TEXT // 4 :]}"
    return _cut(text)


def _is_ours(module: Mapping[str, Any]) -> bool:
    return str(module.get("__name__", "")) in ("daffi.dispatch", "daffi.loop")


def _cut(text: str, limit: int = _TEXT) -> str:
    """At most `limit` bytes of valid UTF-8."""
    return text[:limit].encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def _plain_arguments(exc: BaseException) -> tuple[Any, ...] | None:
    try:
        args = arguments_of(exc)
        return args if _plain(args, 3) <= _TEXT else None
    except Exception:
        return None


def _plain(value: Any, depth: int) -> int:
    """About how many bytes a plain value takes; TypeError for one that is not plain."""
    kind = type(value)
    if value is None or kind is bool or kind is float:
        return 1
    if kind is int and -(1 << 63) <= value < 1 << 64:
        return 8
    if kind is str:
        return len(value.encode())
    if kind is bytes:
        return len(value)
    if (kind is tuple or kind is list) and depth and len(value) <= 1000:
        return sum(_plain(item, depth - 1) for item in value)
    raise TypeError(f"{kind.__name__} is not plain")


def _pickled(exc: BaseException, dumps: Callable[[Any], bytes]) -> bytes | None:
    kind: object = original_of(exc) if isinstance(exc, RemoteCallError) else type(exc)
    if not may_be_rebuilt(kind):
        return None
    try:
        base = builtin_of(kind)
        own = any(
            getattr(kind, name, None) is not getattr(base, name, None)
            for name in ("__reduce__", "__reduce_ex__", "__getstate__")
        )
        # In parts where we may: classes with an `__init__` of their own often can't be
        # unpickled, as `args` is not what that takes.
        data = dumps(exc if own else (kind, arguments_of(exc), state_of(exc, base)))
    except Exception:
        return None
    return data if len(data) <= _PICKLED else None

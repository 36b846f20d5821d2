"""Which functions this process offers: `@callback`, `@alias`, `@local`.

One global registry, and the listeners that hear when it grows, so that nodes which are already
up announce new functions. Nothing that runs a function or knows of connections may live here.
Imports only `daffi.exceptions` of ours.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any, NamedTuple, TypeVar

from daffi.exceptions import InitializationError
from daffi.log import Logger

__all__ = ["alias", "callback", "local"]

_T = TypeVar("_T")
_log = Logger("daffi.registry")

_ALIAS = "__daffi_alias__"
_LOCAL = "__daffi_local__"


class CallbackTypeError(InitializationError, TypeError):
    """This can't be a callback; the text says what can."""


class CallbackValueError(InitializationError, ValueError):
    """This can't be a callback under this name."""


class Definition(NamedTuple):
    """Where a callback was written, by which a second run of it is known."""

    module: str
    qualname: str
    file: str
    line: int

    def is_rerun_of(self, other: Definition) -> bool:
        if (self.module, self.qualname) != (other.module, other.qualname):
            return False
        # Two definitions in one file are two functions; a cell of a notebook and a line typed
        # at the prompt have no file, and are the same definition, edited.
        return self.file != other.file or self.line == other.line or not os.path.exists(self.file)


class Callback(NamedTuple):
    """One function that may be called under `name`."""

    name: str
    function: Callable[..., Any]
    signature: str
    summary: str  # first line of the documentation
    definition: Definition
    owner: object  # the class or the object that it came with, or None


class Registry:
    """Callbacks by name. Safe to use from any thread."""

    def __init__(self) -> None:
        self._callbacks: dict[str, Callback] = {}
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def add(self, callbacks: list[Callback]) -> None:
        """Take in all of them or, when a name is taken by another function, none."""
        with self._lock:
            for new in callbacks:
                self._check(new)
            # What an edited class no longer has goes with its older version.
            replaced = [
                self._callbacks[c.name].owner for c in callbacks if c.name in self._callbacks
            ]
            for old in list(self._callbacks.values()):
                if _is_class(old.owner) and any(old.owner is owner for owner in replaced):
                    del self._callbacks[old.name]
            self._callbacks.update((new.name, new) for new in callbacks)
        self._tell()

    def rename(self, function: object, name: str) -> bool:
        """Move a registered function to another name; False if it is not registered."""
        with self._lock:
            old = next((c for c in self._callbacks.values() if c.function is function), None)
            if old is None:
                return False
            new = old._replace(name=name)
            self._check(new)
            del self._callbacks[old.name]
            self._callbacks[name] = new
        self._tell()
        return True

    def _check(self, new: Callback) -> None:
        old = self._callbacks.get(new.name)
        if old is None or old.function is new.function:
            return
        # The same method of two objects of one class is not one function.
        two_objects = new.owner is not old.owner and type(new.owner) is type(old.owner)
        same = not two_objects or _is_class(new.owner)
        if same and new.definition.is_rerun_of(old.definition):
            return
        at = old.definition
        raise CallbackValueError(
            f"the name {new.name!r} is taken by {at.module}.{at.qualname} ({at.file}:{at.line});"
            f" give one of the two another name with alias('...')"
        )

    def select(self, expose: frozenset[str] | None) -> Mapping[str, Callback]:
        """What a node with this `expose` offers now."""
        with self._lock:
            return {
                name: found
                for name, found in self._callbacks.items()
                if expose is None or name in expose
            }

    def names(self, expose: Iterable[object] | object | None) -> frozenset[str] | None:
        """The names that a node's `expose` means: functions, methods, classes or names.

        None stays None, every function there is and will be. `InitializationError` for what
        is not registered.
        """
        if expose is None:
            return None
        if isinstance(expose, str) or callable(expose):
            expose = (expose,)
        if not isinstance(expose, Iterable):
            raise InitializationError(
                f"expose takes None, or a list of functions or names, not {expose!r}"
            )
        with self._lock:
            known = list(self._callbacks.values())
        names: set[str] = set()
        for wanted in expose:
            found = [
                c.name
                for c in known
                if c.name == wanted or c.function == wanted or (c.owner is wanted is not None)
                or (_is_class(wanted) and type(c.owner) is wanted)
            ]  # fmt: skip
            if not found:
                raise InitializationError(
                    f"expose: {wanted!r} is not registered: put @callback on it,"
                    f" before the node is made"
                    f" (registered: {', '.join(sorted(c.name for c in known)) or 'nothing'})"
                )
            names.update(found)
        return frozenset(names)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener()` after every change, on the thread that made it."""
        with self._lock:
            if listener not in self._listeners:
                self._listeners.append(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        """Stop calling it; nothing happens when it was not there."""
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    def _tell(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener()
            except Exception:
                _log.exception("a node could not announce a change of its functions")

    def _after_fork(self) -> None:
        # The parent's nodes are not ours, and another thread may have held the lock.
        self._lock = threading.Lock()
        self._listeners = []


registry = Registry()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=registry._after_fork)


def callback(target: _T) -> _T:
    """Offer a function, a bound method, or every public method of a class.

    A class is built with no arguments, and its public methods are offered: inherited, static
    and class methods too, not properties, not what is marked `@local`. Returns `target`
    itself. Raises `TypeError` or `ValueError` (which are also `InitializationError`) for what
    can't be a callback.
    """
    if isinstance(target, type):
        registry.add(list(_methods_of(target)))
    else:
        name = getattr(target, _ALIAS, None) or getattr(target, "__name__", None)
        registry.add([_function(target, name)])
    return target


def alias(name: str) -> Callable[[_T], _T]:
    """Offer a function under another name than its own.

    On a method in a class body it only gives the name; the class's `@callback` offers it. With
    `@callback` on the same function, above or below, the function has this one name.
    """
    _check_name(name)

    def decorate(target: _T) -> _T:
        if isinstance(target, type):
            raise CallbackTypeError("a class has no name to call: put alias on its methods")
        if isinstance(target, (staticmethod, classmethod)) or _is_unbound(target):
            setattr(target, _ALIAS, name)
            return target
        new = _function(target, name)
        if not registry.rename(target, name):
            registry.add([new])
        if isinstance(target, FunctionType):
            setattr(target, _ALIAS, name)
        return target

    return decorate


def local(target: _T) -> _T:
    """Keep a method of a `@callback` class to itself."""
    try:
        setattr(target, _LOCAL, True)
    except AttributeError:
        raise CallbackTypeError("@local goes on a method, in the body of its class") from None
    return target


def _is_class(value: object) -> bool:
    return isinstance(value, type)


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise CallbackTypeError(f"the name of a callback is a str, not {type(name).__name__}")
    if name.startswith("_"):
        raise CallbackValueError(
            f"{name!r} begins with an underscore and is private; rename it or use alias('...')"
        )
    if not name or not name.isprintable() or len(name.encode("utf-8", "replace")) > 255:
        raise CallbackValueError(f"{name[:300]!r} can't be a name: 1 to 255 bytes, printable")


def _function(target: Any, name: object) -> Callback:
    """The callback for a function or a bound method."""
    if not callable(target) or isinstance(target, (staticmethod, classmethod)):
        if isinstance(target, (staticmethod, classmethod, property)):
            raise _in_class_body(getattr(target, "__name__", "it"))
        raise CallbackTypeError(
            f"a callback is a function, a bound method or a class, not {type(target).__name__}"
        )
    if getattr(target, "__name__", "") == "<lambda>":
        raise CallbackTypeError("a lambda has no name to call: write it as a def")
    if name is None:
        raise CallbackTypeError(
            f"{type(target).__name__} objects have no name: use alias('name')(it)"
        )
    _check_name(name)
    if _is_unbound(target):
        raise _in_class_body(target.__name__)
    _check_kind(target, str(name))
    if getattr(target, _LOCAL, False):
        raise CallbackTypeError(f"{name} is marked @local: take one of the two marks off")
    owner = target.__self__ if isinstance(target, MethodType) else None
    return Callback(str(name), target, *_described(target), _definition(target, owner), owner)


def _methods_of(cls: type) -> Iterator[Callback]:
    import inspect

    public: list[tuple[str, str]] = []
    for attribute in dir(cls):
        if attribute.startswith("_"):
            continue
        found = inspect.getattr_static(cls, attribute)
        if not _is_method(found) or _mark(found, _LOCAL):
            continue
        name = _mark(found, _ALIAS) or attribute
        _check_kind(getattr(cls, attribute), f"{cls.__name__}.{attribute}")
        public.append((attribute, name))
    if not public:
        raise CallbackTypeError(f"{cls.__name__} has no public methods to offer")
    if len({name for _, name in public}) < len(public):
        raise CallbackValueError(f"two methods of {cls.__name__} have the same name")
    try:
        instance = cls()
    except Exception as error:
        raise CallbackTypeError(
            f"{cls.__name__} can't be built without arguments ({type(error).__name__}: {error});"
            f" build it yourself and register its methods: callback(obj.{public[0][0]})"
        ) from error
    for attribute, name in public:
        method = getattr(instance, attribute)
        definition = _definition(method, None)._replace(
            module=cls.__module__, qualname=f"{cls.__qualname__}.{attribute}"
        )
        yield Callback(name, method, *_described(method), definition, cls)


def _is_method(found: object) -> bool:
    if isinstance(found, (staticmethod, classmethod)):
        return True
    if isinstance(found, (functools.partialmethod, functools.singledispatchmethod)):
        return True
    return callable(found) and hasattr(found, "__get__") and not isinstance(found, type)


def _mark(found: object, mark: str) -> Any:
    return getattr(found, mark, None) or getattr(getattr(found, "__func__", None), mark, None)


def _check_kind(target: Any, name: str) -> None:
    import inspect

    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        raise CallbackTypeError(
            f"{name} is a generator function, and results can't be streams: return a list, or"
            " don't offer it (no @callback; of a class, @local on the method)"
        )


def _in_class_body(name: str) -> CallbackTypeError:
    return CallbackTypeError(
        f"{name} is a method without its object: put @callback on the class, or register the"
        f" method of an object, callback(obj.{name}); to name a method, @alias is enough"
    )


def _is_unbound(target: object) -> bool:
    """Whether it is a function of a class body that is not a static method."""
    if not isinstance(target, FunctionType):
        return False
    path, _, name = target.__qualname__.rpartition(".")
    if not path or path.endswith("<locals>"):
        return False
    found: Any = sys.modules.get(target.__module__)
    for part in path.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):  # the class is not there yet, or is local to a function
        return True
    return not isinstance(vars(found).get(name), staticmethod)


def _described(target: Any) -> tuple[str, str]:
    """Signature, and first line of the documentation."""
    import inspect

    try:
        known = inspect.signature(target)
        each = [p.replace(annotation=_bare(p.annotation)) for p in known.parameters.values()]
        signature = str(
            known.replace(parameters=each, return_annotation=_bare(known.return_annotation))
        )
    except Exception:  # a builtin that tells nobody, a default that can't be shown
        signature = "(...)"
    lines = (inspect.getdoc(target) or "").strip().splitlines()
    return _text(signature[:500]), _text(lines[0][:200]) if lines else ""


class _Bare(str):
    """An annotation that is text, as it is with `from __future__ import annotations`."""

    __slots__ = ()
    __repr__ = str.__str__


def _bare(annotation: Any) -> Any:
    return _Bare(annotation) if isinstance(annotation, str) else annotation


def _text(shown: str) -> str:
    """What can be shown elsewhere: lone surrogates can't even travel."""
    return shown.encode("utf-8", "replace").decode()


def _definition(target: Any, owner: object) -> Definition:
    import inspect

    plain = inspect.unwrap(target)
    plain = getattr(plain, "__func__", plain)
    code = getattr(plain, "__code__", None)
    module = getattr(target, "__module__", None) or type(target).__module__
    qualname = getattr(target, "__qualname__", None) or type(target).__qualname__
    if owner is not None and not isinstance(owner, type):
        module = type(owner).__module__
        qualname = f"{type(owner).__qualname__}.{getattr(target, '__name__', '')}"
    file = code.co_filename if code is not None else ""
    return Definition(str(module), str(qualname), file, code.co_firstlineno if code else 0)

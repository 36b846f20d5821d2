"""What `@callback`, `@alias` and `@local` take in and refuse; no engine needed."""

from __future__ import annotations

import functools
import math
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from daffi import alias, callback, local
from daffi import registry as module
from daffi.exceptions import InitializationError
from daffi.registry import Registry


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """An empty registry in place of the global one, for one test."""
    fresh = Registry()
    monkeypatch.setattr(module, "registry", fresh)
    return fresh


def offered(registry: Registry) -> set[str]:
    return set(registry.select(None))


def refused(kind: type[Exception], match: str) -> Any:
    return pytest.raises(kind, match=match)


class Tools:
    """A class whose objects' methods are registered."""

    def turn(self, by: int = 1) -> int:
        """Turn it.

        More about that.
        """
        return by

    @staticmethod
    def still() -> None: ...

    @classmethod
    def made(cls) -> str:
        return cls.__name__


def test_functions(registry: Registry) -> None:
    def add(a: int, b: int = 2) -> int:
        """Add them.

        Carefully.
        """
        return a + b

    async def later() -> None: ...

    before = dict(vars(add))
    assert callback(add) is add and callback(later) is later
    assert vars(add) == before
    assert offered(registry) == {"add", "later"}
    found = registry.select(None)["add"]
    assert found.function is add and found.summary == "Add them."
    assert "b: int = 2" in found.signature


def test_what_is_shown_of_a_function_can_travel(registry: Registry) -> None:
    def odd(a: str = "\ud800") -> None: ...

    odd.__doc__ = "Lone \ud800."
    callback(odd)
    found = registry.select(None)["odd"]
    assert found.summary == "Lone ?." and "ud800" in found.signature


def test_bound_methods_and_builtins(registry: Registry) -> None:
    tools = Tools()
    callback(tools.turn)
    callback(Tools.still)
    callback(Tools.made)
    callback(math.sqrt)
    assert offered(registry) == {"turn", "still", "made", "sqrt"}
    assert registry.select(None)["turn"].function(4) == 4
    assert registry.select(None)["turn"].summary == "Turn it."


def test_a_class(registry: Registry) -> None:
    class Base:
        def inherited(self) -> str:
            return type(self).__name__

        def overridden(self) -> int:
            return 1

    class Shop(Base):
        built = 0
        Nested = dict
        data = 7

        def __init__(self) -> None:
            type(self).built += 1

        def __call__(self) -> None: ...
        def overridden(self) -> int:
            return 2

        async def later(self) -> None: ...
        @staticmethod
        def static() -> int:
            return 3

        @classmethod
        def of_class(cls) -> str:
            return cls.__name__

        @functools.lru_cache  # noqa: B019
        def cached(self) -> int:
            return 4

        @property
        def prop(self) -> int:
            raise AssertionError("touched")

        @functools.cached_property
        def kept(self) -> int:
            raise AssertionError("touched")

        def _private(self) -> None: ...
        @local
        def hidden(self) -> None: ...
        @staticmethod
        @local
        def hidden_too(self: Any) -> None: ...
        @local
        @classmethod
        def hidden_as_well(cls) -> None: ...
        @alias("shown")
        def named(self) -> None: ...
        @alias("shown_static")
        @staticmethod
        def named_static() -> int:
            return 5

        partial = functools.partialmethod(overridden)

    assert callback(Shop) is Shop
    assert offered(registry) == {
        "inherited", "overridden", "later", "static", "of_class", "cached", "shown",
        "shown_static", "partial",
    }  # fmt: skip
    functions = {name: found.function for name, found in registry.select(None).items()}
    assert functions["inherited"]() == "Shop" and functions["overridden"]() == 2
    assert functions["static"]() == 3 and functions["of_class"]() == "Shop"
    assert functions["cached"]() == 4 and functions["shown_static"]() == 5
    assert functions["partial"]() == 2
    assert Shop.built == 1


def test_aliases(registry: Registry) -> None:
    @alias("one")
    def first() -> None: ...

    @callback
    @alias("two")
    def second() -> None: ...

    @alias("three")
    @callback
    def third() -> None: ...

    assert offered(registry) == {"one", "two", "three"}
    a, b = Tools(), Tools()
    assert alias("turn_a")(a.turn) == a.turn
    alias("turn_b")(b.turn)
    alias("partly")(functools.partial(math.pow, 2))
    functions = registry.select(None)
    assert functions["turn_a"].function.__self__ is a  # type: ignore[attr-defined]
    assert functions["turn_b"].function.__self__ is b  # type: ignore[attr-defined]
    assert functions["partly"].function(3) == 8


# Refusals.


def generates() -> Iterator[int]:
    yield 1


async def generates_async() -> AsyncIterator[int]:
    yield 1


def _private() -> None: ...


@pytest.mark.parametrize(
    ("target", "kind", "says"),
    [
        (lambda: 1, TypeError, "write it as a def"),
        (generates, TypeError, "return a list"),
        (generates_async, TypeError, "return a list"),
        (7, TypeError, "a function, a bound method or a class, not int"),
        (None, TypeError, "a function, a bound method or a class"),
        ("name", TypeError, "a function, a bound method or a class"),
        (functools.partial(print), TypeError, "alias"),
        (_private, ValueError, "alias"),
        (Tools.turn, TypeError, r"callback\(obj.turn\)"),
        (property(lambda self: 1), TypeError, "on the class"),
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0],
)
def test_what_cannot_be_a_callback(
    registry: Registry, target: Any, kind: type[Exception], says: str
) -> None:
    with refused(kind, says) as caught:
        callback(target)
    assert isinstance(caught.value, InitializationError)
    assert offered(registry) == set()


def test_methods_in_a_class_body(registry: Registry) -> None:
    with refused(TypeError, "on the class"):

        class Plain:
            @callback
            def method(self) -> None: ...

    with refused(TypeError, "on the class"):

        class Static:
            @callback
            @staticmethod
            def method() -> None: ...

    with refused(TypeError, "on the class"):

        class Inner:
            @staticmethod
            @callback
            def method() -> None: ...

    assert offered(registry) == set()


def test_classes_that_cannot_be_offered(registry: Registry) -> None:
    class Needs:
        def __init__(self, what: int) -> None: ...
        def method(self) -> None: ...

    with refused(TypeError, r"without arguments.*callback\(obj.method\)"):
        callback(Needs)

    class Fails:
        def __init__(self) -> None:
            raise OSError("no disk")

        def method(self) -> None: ...

    with refused(TypeError, "OSError: no disk"):
        callback(Fails)

    class Empty:
        value = 1

    with refused(TypeError, "no public methods"):
        callback(Empty)

    class Generates:
        def fine(self) -> None: ...
        def items(self) -> Iterator[int]:
            yield 1

    with refused(TypeError, r"Generates.items is a generator.*@local"):
        callback(Generates)

    class Doubled:
        def same(self) -> None: ...
        @alias("same")
        def other(self) -> None: ...

    with refused(ValueError, "same name"):
        callback(Doubled)
    assert offered(registry) == set()


@pytest.mark.parametrize("name", ["", "_x", "new\nline", "x" * 256, "ž" * 128])
def test_names_that_cannot_be(name: str) -> None:
    with refused(ValueError, "underscore|1 to 255 bytes"):
        alias(name)
    with pytest.raises(TypeError):
        alias(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="methods"):
        alias("fine")(Tools)
    with pytest.raises(TypeError):
        local(Tools().turn)

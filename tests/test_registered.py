"""Names that are taken, definitions that are run again, and what nodes do with the registry.

No engine needed. What is taken in at all is in `test_registry`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from daffi import alias, callback
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
        return by


# Names that are taken.


def test_a_name_that_is_taken(registry: Registry) -> None:
    def make() -> Callable[[], int]:
        def same() -> int:
            return 2

        return same

    def same() -> int:
        return 1

    callback(same)
    callback(same)  # once more is nothing new
    with refused(ValueError, r"'same' is taken by .*test_registered.*alias"):
        callback(make())
    with refused(ValueError, "taken"):
        alias("same")(make())
    assert registry.select(None)["same"].function is same
    callback(make_other := alias("other")(make()))
    assert registry.select(None)["other"].function is make_other


def test_two_definitions_in_one_file_are_two_functions() -> None:
    @callback
    def twice() -> int:
        return 1

    with refused(ValueError, "taken"):

        @callback
        def twice() -> int:
            return 2


def test_running_a_definition_again_replaces_it(registry: Registry) -> None:
    def define(value: int) -> Callable[[], int]:
        @callback
        def again() -> int:
            return value

        return again

    define(1)
    second = define(2)
    assert registry.select(None)["again"].function is second


def test_an_edited_cell_of_a_notebook_replaces_it(registry: Registry) -> None:
    def cell(number: int, code: str) -> None:
        names = {"callback": callback, "alias": alias, "__name__": "__main__"}
        exec(compile(code, f"<cell {number}>", "exec"), names)

    cell(1, "@callback\ndef f():\n    return 1")
    cell(2, "\n\n@callback\ndef f(x=2):\n    return x")
    assert registry.select(None)["f"].function() == 2
    methods = "@callback\nclass C:\n  def a(self): return {0}\n  def {1}(self): return {0}"
    cell(3, methods.format(1, "b"))
    cell(4, "\n" + methods.format(2, "c"))
    assert offered(registry) == {"f", "a", "c"}  # what the class no longer has is gone
    assert registry.select(None)["a"].function() == 2
    cell(5, "class T:\n  def turn(self): return 1\nt = T()\ncallback(t.turn)")
    cell(6, "class T:\n  def turn(self): return 2\nt = T()\ncallback(t.turn)")
    assert registry.select(None)["turn"].function() == 2


def test_two_objects_of_a_class_are_two(registry: Registry) -> None:
    first, second = Tools(), Tools()
    callback(first.turn)
    callback(first.turn)
    with refused(ValueError, "alias"):
        callback(second.turn)


def test_two_classes_that_inherit_the_same(registry: Registry) -> None:
    class Base:
        def shared(self) -> None: ...

    class One(Base): ...

    class Two(Base):
        def own(self) -> None: ...

    callback(One)
    with refused(ValueError, "shared"):
        callback(Two)
    assert offered(registry) == {"shared"}  # none of Two


# What nodes do with it.


def test_listeners(registry: Registry) -> None:
    heard: list[set[str]] = []

    def listener() -> None:
        heard.append(offered(registry))

    def broken() -> None:
        raise RuntimeError("harms nobody")

    registry.listen(broken)
    registry.listen(listener)
    registry.listen(listener)

    @callback
    def f() -> None: ...

    assert heard == [{"f"}]
    alias("g")(f)
    assert heard[1:] == [{"g"}]
    registry.unlisten(listener)
    registry.unlisten(listener)
    alias("h")(f)
    assert len(heard) == 2


def test_selection(registry: Registry) -> None:
    @callback
    def f() -> None: ...
    @callback
    @alias("named")
    def g() -> None: ...

    @callback
    class Shop:
        def sell(self) -> None: ...
        def buy(self) -> None: ...

    tools = Tools()
    callback(tools.turn)
    cases: list[tuple[Any, set[str]]] = [
        (None, {"f", "named", "sell", "buy", "turn"}),
        ((), set()),
        ([f, "named"], {"f", "named"}),
        ([g], {"named"}),
        ([Shop], {"sell", "buy"}),
        ([tools.turn], {"turn"}),
        ([tools], {"turn"}),
        ([Tools], {"turn"}),
        ("f", {"f"}),
        (f, {"f"}),
        ({"f", "sell"}, {"f", "sell"}),
    ]
    for expose, expected in cases:
        assert set(registry.select(registry.names(expose))) == expected, expose
    wrongs: list[Any] = [["missing"], [len], 7, ["g"], [None], [Tools()]]
    for wrong in wrongs:
        with pytest.raises(InitializationError, match="expose"):
            registry.names(wrong)

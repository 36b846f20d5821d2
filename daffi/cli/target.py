"""TARGET of `serve`: a module, a file, or `module:object`; importing it, and what it offers.

Imports the registry, and `life` to know a node when it sees one.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import click

from daffi import callback
from daffi.exceptions import InitializationError
from daffi.life import Node
from daffi.registry import registry

_SHOWN = 10  # names of what a module has
_OURS = Path(__file__).parents[1]  # daffi itself


class Target(NamedTuple):
    """Where functions come from."""

    module: str  # its name, or the path of a file
    path: str  # an object inside of it, with dots; or nothing

    @classmethod
    def of(cls, text: str) -> Target:
        """Read what was said on the command line."""
        place, colon, path = text.rpartition(":")
        if not colon or (sys.platform == "win32" and path.startswith(("/", "\\"))):
            place, path = text, ""
        found = cls(place, path)
        names = path.split(".") if path else []
        if (found.file is None and "" in place.split(".")) or not all(map(str.isidentifier, names)):
            raise click.ClickException(
                f"TARGET is a module, a file.py, or one of them with :object, not {text!r}"
            )
        return found

    @property
    def file(self) -> Path | None:
        """The file, where one is named."""
        return Path(self.module) if self.module.endswith(".py") or "/" in self.module else None

    @property
    def name(self) -> str:
        """What a node that serves it is called."""
        return self.file.stem if self.file else self.module.rpartition(".")[2]

    @property
    def folder(self) -> Path:
        """Where its source is, as far as that is known before it is imported."""
        return self.file.resolve().parent if self.file else Path.cwd()

    def load(self, verbose: bool = False) -> list[str] | None:
        """Import it; the names of the functions to offer, None for all that are registered."""
        try:
            module = self._import()
        except click.ClickException:
            raise
        except (Exception, SystemExit) as error:
            if verbose:
                traceback.print_exc()
            raise click.ClickException(_broken(self.module, error)) from error
        if not self.path:
            if not registry.select(None):
                raise click.ClickException(
                    f"{self.module} offers nothing: put @callback on its functions, or name one,"
                    f" {self.module}:function"
                )
            return None
        return _offered(f"{self.module}:{self.path}", self._find(module))

    def _import(self) -> ModuleType:
        if self.file is None:
            sys.path.insert(0, str(Path.cwd()))
            try:
                return importlib.import_module(self.module)
            except ModuleNotFoundError as error:
                if error.name is None or not f"{self.module}.".startswith(f"{error.name}."):
                    raise  # something that it imports
                hint = f"; {self.module}.py is a file here" if self._is_file() else ""
                raise click.ClickException(f"there is no module {error.name!r}{hint}") from None
        if not self.file.is_file():
            raise click.ClickException(f"there is no file {self.module}")
        sys.path.insert(0, str(self.folder))
        name = self.file.stem if self.file.stem not in sys.modules else f"served_{self.file.stem}"
        spec = importlib.util.spec_from_file_location(name, self.file)
        if spec is None or spec.loader is None:
            raise click.ClickException(f"{self.module} is no Python file: its name ends with .py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    def _is_file(self) -> bool:
        return Path(f"{self.module}.py").is_file()

    def _find(self, module: ModuleType) -> Any:
        found: Any = module
        for part in self.path.split("."):
            try:
                found = getattr(found, part)
            except AttributeError:
                there = [name for name in vars(module) if not name.startswith("_")]
                some = ", ".join(there[:_SHOWN]) + (", ..." if there[_SHOWN:] else "")
                raise click.ClickException(
                    f"{self.module} has no {self.path!r}; it has {some or 'nothing'}"
                ) from None
        return found


def _offered(name: str, target: Any) -> list[str]:
    """The names under which an object's functions are offered; registers them where needed."""
    if isinstance(target, Node):
        raise click.ClickException(f"{name} is a node already: run its file with python")
    known = _names(target)
    if known:
        return known
    try:
        if inspect.isroutine(target) or inspect.isclass(target):
            callback(target)
            return _names(target)
        methods = _methods(target)
        for method in methods:
            callback(method)
    except (TypeError, ValueError) as error:
        raise click.ClickException(f"{name} can't be offered: {error}") from None
    if not methods:
        raise click.ClickException(
            f"{name} is of type {type(target).__name__} and has no methods to offer: name a"
            " function, a class or an object"
        )
    return [each for method in methods for each in _names(method)]


def _names(target: Any) -> list[str]:
    """Under which names it is registered."""
    try:
        return sorted(registry.names([target]) or ())
    except InitializationError:
        return []


def _methods(target: Any) -> list[Callable[..., Any]]:
    """The public methods that its class defines."""
    return [
        method
        for name, method in inspect.getmembers(target, inspect.ismethod)
        if not name.startswith("_")
    ]


def _broken(module: str, error: BaseException) -> str:
    """Where importing it failed, as far as that is inside of it."""
    kind, text = type(error).__name__, " ".join(str(error).split())
    inside = [
        f" in {frame.filename}, line {frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and _OURS not in Path(frame.filename).parents
    ]
    where = inside[-1] if inside else ""
    return f"{module} can't be imported: {kind}: {text}{where} (-v shows the traceback)"

"""The public names, what an import costs, and the types that come with the package.

Looks at the installed package. What the names do is tested elsewhere.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import daffi
from daffi import exceptions, registry

PUBLIC = {
    "Client",
    "Router",
    "SerdeFormat",
    "Service",
    "__version__",
    "alias",
    "callback",
    "current_call",
    "local",
}
# Each exception, and what else it can be caught as.
EXCEPTIONS: dict[str, tuple[str, type[BaseException] | None]] = {
    "DaffiError": ("DaffiError", Exception),
    "InitializationError": ("DaffiError", None),
    "AuthenticationError": ("InitializationError", None),
    "ProtocolError": ("InitializationError", None),
    "Disconnected": ("DaffiError", ConnectionError),
    "Evicted": ("Disconnected", ConnectionError),
    "TransmissionFailure": ("DaffiError", LookupError),
    "CallTimeout": ("DaffiError", TimeoutError),
    "Overloaded": ("DaffiError", None),
    "MessageTooLarge": ("DaffiError", None),
    "SerdeNotAllowed": ("DaffiError", None),
    "SerializationError": ("DaffiError", None),
    "RemoteCallError": ("DaffiError", None),
    "RemoteTraceback": ("DaffiError", None),
    "ForkedError": ("DaffiError", RuntimeError),
}


def run(code: str, folder: Path) -> str:
    """Run code in an interpreter of its own, outside the checkout; what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_offers_these_names_and_no_others() -> None:
    assert set(daffi.__all__) == PUBLIC
    assert len(daffi.__all__) == len(PUBLIC)
    assert all(hasattr(daffi, name) for name in PUBLIC)


def test_registration_is_found_in_its_module_too() -> None:
    for name in ("callback", "local", "alias"):
        assert getattr(registry, name) is getattr(daffi, name)


def test_the_version_is_the_installed_one() -> None:
    assert daffi.__version__ == metadata.version("daffi")


def test_the_version_is_the_same_everywhere() -> None:
    checkout = Path(__file__).resolve().parent.parent
    package = json.loads((checkout / "js/package.json").read_text("utf-8"))
    lock = json.loads((checkout / "js/package-lock.json").read_text("utf-8"))
    newest = re.search(r"^## (\S+)", (checkout / "CHANGELOG.md").read_text("utf-8"), re.M)
    said = [package["version"], lock["version"], lock["packages"][""]["version"]]
    assert newest
    assert {*said, newest[1]} == {daffi.__version__}, "as in Cargo.toml"


def test_the_javascript_package_has_the_licence_too() -> None:
    checkout = Path(__file__).resolve().parent.parent
    licences = {(checkout / path).read_text("utf-8") for path in ("LICENSE", "js/LICENSE")}
    assert len(licences) == 1


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions_can_be_caught_as_their_kinds(name: str) -> None:
    kind = getattr(exceptions, name)
    parent, builtin = EXCEPTIONS[name]
    assert issubclass(kind, exceptions.DaffiError)
    assert issubclass(kind, getattr(exceptions, parent))
    assert builtin is None or issubclass(kind, builtin)
    assert kind.__module__ == "daffi.exceptions"


def test_there_are_no_other_exceptions() -> None:
    classes = inspect.getmembers(exceptions, inspect.isclass)
    ours = {name for name, kind in classes if issubclass(kind, BaseException)}
    assert {name for name in ours if not name.startswith("_")} == set(EXCEPTIONS)


def test_formats_have_their_names() -> None:
    names = [serde.name for serde in daffi.SerdeFormat]
    assert sorted(names) == ["JSON", "MSGPACK", "OPAQUE", "PICKLE"]
    assert all(isinstance(serde, int) for serde in daffi.SerdeFormat)


@pytest.mark.parametrize("name", ["Router", "Service", "Client"])
def test_nodes_take_four_positional_parameters_and_the_rest_by_name(name: str) -> None:
    parameters = inspect.signature(getattr(daffi, name)).parameters.values()
    first = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert first == ["app_name", "host", "port", "unix_sock_path"]
    assert all(p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in parameters)
    assert all(p.default is not p.empty for p in parameters)


def test_importing_brings_in_nothing_heavy(tmp_path: Path) -> None:
    heavy = "{'asyncio', 'trio', 'ssl', 'logging', 'cloudpickle', 'numpy', 'multiprocessing'}"
    printed = run(f"import sys, daffi; print(*sorted({heavy} & sys.modules.keys()))", tmp_path)
    assert printed.split() == []


def test_importing_starts_nothing(tmp_path: Path) -> None:
    """No thread, no handler of a signal, no logging."""
    state = (
        "import logging, signal, threading\n"
        "def state():\n"
        "    signals = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]\n"
        "    return signals, threading.active_count(), list(logging.root.handlers)\n"
        "before = state()\n"
        "import daffi\n"
        "print(before == state())\n"
    )
    assert run(state, tmp_path).strip() == "True"


def test_the_package_is_typed() -> None:
    folder = Path(inspect.getfile(daffi)).parent
    assert (folder / "py.typed").is_file()
    assert (folder / "_native.pyi").is_file()


def test_the_native_module_belongs_to_the_package_and_the_python() -> None:
    """From 3.11 one build serves all; 3.10 has one of its own."""
    native = Path(inspect.getfile(importlib.import_module("daffi._native")))
    assert native.parent == Path(inspect.getfile(daffi)).parent
    if sys.platform != "win32":
        assert (".abi3." in native.name) is (sys.version_info >= (3, 11))


@pytest.mark.timeout(180)
def test_the_stub_says_what_the_native_module_has(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="the extra `tests` brings mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "daffi._native"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

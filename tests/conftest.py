"""How tests are run: a coroutine test with a `world` runs in the world that the fixture names.

Any other coroutine test is asyncio's own, and left to pytest-asyncio.

`world` x `transport` x `topology` are fixtures with parameters; `site` is their product.
A mark narrows them (`sites.over_router`) or gives options to the nodes of the site:
`@pytest.mark.site(worker={"workers": 4})`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import shutil
import signal
import tempfile
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Certificates
from commandline import CommandLine
from faults import FaultProxy
from gates import Gate, new_gate, open_gates
from namespaces import Elsewhere, UnavailableError
from places import Place
from programs import Program, Programs
from sites import Site, Tls
from worlds import WORLDS, World

# A shell that starts us in the background has SIGINT ignored, and so would all that we start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "site(server, worker, caller): options of its nodes")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem(obj: Any) -> Generator[None, Any, Any]:
    """Give coroutine tests that take a `world` a plain face, before pytest-asyncio looks."""
    found = yield
    # Python 3.12 takes the module `inspect`, which a test file imports, for a coroutine function.
    if not inspect.isfunction(obj) or not inspect.iscoroutinefunction(obj):
        return found
    if "world" in inspect.signature(obj).parameters:
        for item in found or ():
            item.obj = in_its_world(obj)
    return found


def in_its_world(test: Callable[..., Any]) -> Callable[..., None]:
    """The coroutine test as a plain one, which runs in its world, inside its site."""

    @functools.wraps(test)
    def plain(world: World, **given: Any) -> None:
        async def body() -> None:
            async with contextlib.AsyncExitStack() as stack:
                for value in given.values():
                    if isinstance(value, Site):
                        await stack.enter_async_context(value)
                await test(world=world, **given)

        world.run(body)

    return plain


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sparse",
        action="store_true",
        help="every test in every world, but over one transport and topology of those it knows",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what shows nothing new, to keep the run short.

    Threads meet every transport in every topology. A loop is woken in one way whatever the
    bytes travel by: there a test over TCP and Unix sockets has a Unix socket with a Service,
    and TCP with a Router. What is about transports meets them all. `--sparse` leaves one way of
    each; which, differs from test to test.
    """
    transports: dict[str, set[str]] = defaultdict(set)
    for item in items:
        transports[_test(item)].add(_parameter(item, "transport"))
    skipped = {("service", "tcp"), ("router", "unix")}
    items[:] = [
        item
        for item in items
        if _parameter(item, "world") in ("", "blocking")
        or len(transports[_test(item)]) != 2
        or _way(item) not in skipped
    ]
    if config.getoption("--sparse"):
        ways: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for item in items:
            ways[_test(item) + _parameter(item, "world")].add(_way(item))
        chosen = {
            test: sorted(known)[zlib.crc32(test.encode()) % len(known)]
            for test, known in ways.items()
        }
        items[:] = [
            item for item in items if _way(item) == chosen[_test(item) + _parameter(item, "world")]
        ]


def _way(item: pytest.Item) -> tuple[str, str]:
    return _parameter(item, "topology"), _parameter(item, "transport")


def _test(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def _parameter(item: pytest.Item, name: str) -> str:
    given = item.callspec.params if hasattr(item, "callspec") else {}
    return str(given.get(name, ""))


@pytest.fixture(params=list(WORLDS))
def world(request: pytest.FixtureRequest) -> World:
    """A way of waiting."""
    return WORLDS[request.param]()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Makes certificates, good and bad ones."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def tls(certificates: Certificates) -> Tls:
    """What the nodes of a site pass that speaks TLS."""
    return Tls(certificates.server(), certificates.client())


@pytest.fixture(params=["tcp", "unix"])
def transport(request: pytest.FixtureRequest) -> str:
    """How bytes travel."""
    return str(request.param)


@pytest.fixture(params=["service", "router"])
def topology(request: pytest.FixtureRequest) -> str:
    """Who runs the callbacks: the server itself, or a client of it."""
    return str(request.param)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose path leaves room for the name of a Unix socket."""
    path = Path(tempfile.mkdtemp(prefix="d"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def site(
    request: pytest.FixtureRequest,
    world: World,
    transport: str,
    topology: str,
    short_path: Path,
    tls: Tls,
) -> Site:
    """A server, a worker and a caller."""
    mark = request.node.get_closest_marker("site")
    options: dict[str, Any] = dict(mark.kwargs) if mark else {}
    return Site(world, topology, transport, short_path, tls, **options)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes know only what a test tells them."""
    for name in ("DAFFI_URL", "DAFFI_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A closed gate for callbacks to wait at."""
    yield new_gate()
    open_gates()


@pytest.fixture
def programs() -> Iterator[Programs]:
    """Starts real processes and ends them all."""
    with Programs() as started:
        yield started


@pytest.fixture
def cli(tmp_path: Path, programs: Programs) -> CommandLine:
    """Runs `daffi`, in a folder that has `functions.py`."""
    return CommandLine(tmp_path, programs)


@pytest.fixture
def served(cli: CommandLine) -> tuple[Program, str]:
    """`daffi serve functions.py`, and its URL."""
    return cli.up("serve", "functions.py")


@pytest.fixture
def routed(cli: CommandLine) -> tuple[Program, str]:
    """`daffi router`, and its URL."""
    return cli.up("router")


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    """Another machine, as far as the network goes."""
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(Elsewhere())
        except UnavailableError as reason:
            pytest.skip(str(reason))
        yield made


@pytest.fixture
def proxies() -> Iterator[Any]:
    """Makes proxies that spoil a connection."""
    with contextlib.ExitStack() as stack:
        yield lambda port: stack.enter_context(FaultProxy(port))


@pytest.fixture(params=["service", "router"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Nodes in the loop of a test of asyncio's own, which are up; `site` gives options."""
    mark = request.node.get_closest_marker("site")
    async with Place(request.param, **(mark.kwargs if mark else {})) as made:
        yield made

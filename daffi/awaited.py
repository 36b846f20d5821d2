"""What the asyncio and the Trio fronts share: nodes whose methods are awaited.

A front adds its `World`, which is how its loop is woken and starts tasks. Imports the engine and
everything that the blocking front imports, but no event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Protocol, TypeVar

from daffi import _native, node
from daffi._native import Completions
from daffi.dispatch import current_job
from daffi.exceptions import InitializationError
from daffi.formats import SerdeFormat
from daffi.kinds import ClientKind, RouterKind, ServiceKind
from daffi.later import (
    Background,
    Way,
    bind_cast,
    bind_cast_nowait,
    bind_rpc,
    bind_rpc_nowait,
    bind_stream,
    bind_stream_nowait,
)
from daffi.later import World as CallingWorld
from daffi.life import Node
from daffi.node import Member
from daffi.presence import Presence, log_raised
from daffi.remote import Proxy, Receivers, Serde, Style, check_name, check_timeout
from daffi.tasks import LoopDispatcher

WORKERS = 100  # callbacks of one node that run at once, where nobody says how many
_PICKLE = SerdeFormat.PICKLE
_OPAQUE = SerdeFormat.OPAQUE
_ServerSelf = TypeVar("_ServerSelf", bound="AsyncServer")


class World(CallingWorld, Protocol):
    """An event loop, as far as nodes need one."""

    def dispatcher(self, name: str, workers: int) -> LoopDispatcher:
        """Whoever runs the callbacks of one node."""

    def spawn_from(self, home: Completions, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it in the background on that loop. Called from any thread."""

    async def until_signal(self, over: Callable[[], Any]) -> bool:
        """Await `over()`, or in the main thread SIGINT or SIGTERM; True for a signal."""


class LoopPresence(Presence):
    """A task of the node's loop reads the events and calls the handlers.

    It begins when the node does. Handlers may be coroutine functions; they run one at a time.
    """

    world: World
    _home: Completions | None = None

    def settle(self, home: Completions) -> None:
        """The node is up, on this loop."""
        if self._home is None or self._home.closed:
            self._home = home
            if self._handlers:
                self._begin()

    def _begin(self) -> None:
        if self._home is not None:
            self.world.spawn_from(self._home, self._read)

    def _wake(self) -> None:
        if self._home is not None:
            self.world.spawn_from(self._home, self._tell)

    async def _read(self) -> None:
        while (event := await self._source.next_event(self._home)) is not None:
            self._note(event)
            await self._tell()

    async def _tell(self) -> None:
        if not self._may_tell():
            return
        try:
            while (told := self._next()) is not None:
                handlers, kind, member = told
                for handler in handlers:
                    try:
                        said = handler({"type": kind, "member": member})
                        if hasattr(said, "__await__"):
                            await said
                    except Exception:
                        log_raised(kind, member)
        except BaseException:
            self._telling = False
            raise


class AsyncNode(Node):
    """Waits on an event loop."""

    _world: ClassVar[World]

    @classmethod
    def _dispatch(cls, name: str, workers: int | None) -> LoopDispatcher:
        most = WORKERS if workers is None else node.whole("workers", workers, 1)
        return cls._world.dispatcher(name, most)

    async def members(self) -> list[Member]:
        """Everybody on the network and what they offer, asked of the server now.

        That is every client, this one included, and a Service, which runs callbacks as they
        do; not a Router, which offers nothing. `TimeoutError` when a client's server does not
        answer in 10 s.
        """
        self._birth.check()
        return node.members(await self._engine.members(self._world.here()))

    async def join(self) -> None:
        """Wait until the node is stopped.

        In the main thread SIGINT and SIGTERM stop it too, and `join` returns normally; the
        handlers that were there before are put back first, so that a second Ctrl-C interrupts
        the stopping. A client that can't come back raises `Disconnected` or `Evicted`.
        """
        self._birth.check()
        if not self._up:
            raise InitializationError(f"{self.info}; {self._opened_by} it first")
        here = self._world.here()
        if await self._world.until_signal(lambda: self._engine.join(None, here)):
            await self.stop()

    async def stop(self) -> None:
        """Take no new calls, finish those that run, send what is queued, close.

        That takes at most 10 s. May be called again, from any loop; from a callback of this
        node it returns at once, and the rest happens when the callback is done. Cancelled, it
        closes at once.
        """
        self._birth.check()
        if self._dispatcher is not None and self._dispatcher.is_running_caller():
            self._world.spawn(self._stop)
        else:
            await self._stop()

    async def _stop(self) -> None:
        self._is_to_stop()
        try:
            await self._engine.stop(node.DRAIN, self._world.here())
        except BaseException:
            self._engine.abandon()
            raise
        finally:
            if self._dispatcher is not None:
                self._dispatcher.close()

    async def _begin(self, open: Callable[[Completions], Any]) -> None:
        here = self._world.here()
        if isinstance(self._dispatcher, LoopDispatcher):
            self._dispatcher.settle(here)
        if self._may_begin():
            try:
                await open(here)
            except BaseException:
                self._has_not_begun()
                raise
            self._has_begun()
        else:
            await self._engine.join(0, here)  # raises what ended it for good, if something has
        assert isinstance(self._presence, LoopPresence)
        self._presence.settle(here)


class AsyncServer(AsyncNode):
    """What a Router and a Service have in common."""

    _engine: _native.Server

    @property
    def port(self) -> int | None:
        """The TCP port, the one that was taken once it is up; None on a Unix socket."""
        given = super().port
        return given if given is None else self._engine.port or given

    async def start(self) -> None:
        """Bind and serve; returns when the port is bound.

        `InitializationError`, with address and reason, when that can't be. Nothing happens when
        it is up already.
        """
        await self._begin(self._engine.start)

    async def __aenter__(self: _ServerSelf) -> _ServerSelf:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()


class AsyncRouter(RouterKind, AsyncServer):
    """A Router whose methods are awaited."""


class AsyncService(ServiceKind, AsyncServer):
    """A Service whose methods are awaited."""


class AsyncClient(ClientKind, AsyncNode):
    """A Client whose methods are awaited."""

    _connection: AsyncClientConnection | None = None

    async def connect(self, wait: float | None = None) -> AsyncClientConnection:
        """Connect and greet; returns the connection, the same one when it is up already.

        By then the server knows what this client offers: whoever is connected can be called.
        `wait` seconds long a server that is not up yet is tried again. `InitializationError`,
        with address and reason, when it can't be reached; `AuthenticationError` when one side
        does not know the other's token.
        """
        seconds = node.seconds("wait", wait)
        await self._begin(lambda here: self._engine.connect(seconds, here))
        if self._connection is None:
            self._connection = AsyncClientConnection(self)
        return self._connection

    async def _stop(self) -> None:
        if self._connection is not None:
            await self._connection._settled(node.DRAIN)
        await super()._stop()

    async def __aenter__(self) -> AsyncClientConnection:
        return await self.connect()

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()


class AsyncClientConnection:
    """What calls are made through, from any number of tasks, loops and threads with a loop.

    Each style gives a proxy whose attributes are the remote functions. A call is sent when it
    is made; what it returns may be awaited once, given to whatever takes a coroutine or a
    future, or dropped. `timeout` is in seconds, None for the client's `default_timeout`;
    `receiver` names the worker; `serde` is a `SerdeFormat` or its name. Calls raise what
    `daffi.exceptions` lists, and every call ends in a result or one of those. Cancelling and
    the timeout cancel the call at the worker. Buffers that are passed must not be changed until
    the call has ended.
    """

    __slots__ = ("_background", "_cast", "_cast_nowait", "_client", "_engine", "_rpc",
                 "_rpc_nowait", "_stream", "_stream_nowait", "_world")  # fmt: skip

    def __init__(self, client: AsyncClient) -> None:
        default = client._default_timeout
        self._client = client
        self._engine = client._engine
        self._world = client._world
        self._background = Background(self._world)
        way = Way(self._engine, self._world, self._background, current_job)
        self._rpc = Style(way, bind_rpc, default=default).kept
        self._rpc_nowait = Style(way, bind_rpc_nowait, timed=False).kept
        self._cast = Style(way, bind_cast, many=True, default=default).kept
        self._cast_nowait = Style(way, bind_cast_nowait, many=True, timed=False).kept
        self._stream = Style(way, bind_stream, default=default).fresh
        self._stream_nowait = Style(way, bind_stream_nowait, timed=False).fresh

    def rpc(
        self, timeout: float | None = None, receiver: str | None = None, serde: Serde = _PICKLE
    ) -> Proxy:
        """Call one worker; awaited, it gives the result."""
        return self._rpc(timeout, receiver, serde)

    def rpc_nowait(
        self, receiver: str | None = None, serde: Serde = _PICKLE, timeout: float | None = None
    ) -> Proxy:
        """Call one worker, whether this is awaited or not.

        Awaited, it waits while the pipe is full. `Overloaded` when too many calls that nobody
        awaited wait to be sent.
        """
        return self._rpc_nowait(None, receiver, serde)

    def cast(
        self,
        timeout: float | None = None,
        receiver: Receivers | None = None,
        serde: Serde = _PICKLE,
    ) -> Proxy:
        """Call all workers that offer the function, or those named; awaited, it gives a dict.

        Worker to result, or to the exception that its callback raised. `timeout` is for the
        whole: `CallTimeout` has the answers that did come in `.partial`.
        """
        return self._cast(timeout, receiver, serde)

    def cast_nowait(
        self,
        receiver: Receivers | None = None,
        serde: Serde = _PICKLE,
        timeout: float | None = None,
    ) -> Proxy:
        """Call all workers, or those named, as `rpc_nowait` does."""
        return self._cast_nowait(None, receiver, serde)

    def stream(
        self, timeout: float | None = None, receiver: str | None = None, serde: Serde = _OPAQUE
    ) -> Proxy:
        """Send one worker the items of an iterable or an async iterable, or one chunk.

        Each item is one call of the remote callback, which has run before the next is sent;
        `timeout` is for each. The chunks given to one kept proxy are one stream. A generator is
        closed when the stream fails or is cancelled.
        """
        return self._stream(timeout, receiver, serde)

    def stream_nowait(
        self, receiver: str | None = None, serde: Serde = _OPAQUE, timeout: float | None = None
    ) -> Proxy:
        """As `stream`, without waiting for each item to run; in the background if not awaited."""
        return self._stream_nowait(None, receiver, serde)

    async def wait_for_members(
        self, *names: str, timeout: float | None = None, interval: float = 1.0
    ) -> None:
        """Return when all of them are there; `TimeoutError` otherwise.

        The server may be named too, a Router as well, though `members()` does not list it.
        `interval` is not used: the server tells.
        """
        if not names or not all(isinstance(name, str) for name in names):
            raise TypeError("wait_for_members takes names: wait_for_members('a', 'b')")
        for name in names:
            check_name("a member", name)
        await self._engine.wait_for_members(names, check_timeout(timeout), self._world.here())

    async def wait_for_function(self, name: str, timeout: float | None = None) -> None:
        """Return when somebody offers the function; `TimeoutError` otherwise."""
        if not isinstance(name, str):
            raise TypeError(f"wait_for_function takes a name, not {type(name).__name__}")
        check_name("a function", name)
        await self._engine.wait_for_function(name, check_timeout(timeout), self._world.here())

    async def members(self) -> list[Member]:
        """Everybody on the network and what they offer, asked of the server now.

        Every client, this one included, and a Service; not a Router, which offers nothing.
        """
        return await self._client.members()

    async def server_stats(self) -> dict[str, Any]:
        """What the server counts now, as its own `stats()` has it there.

        `TimeoutError` when it does not answer in 10 s.
        """
        found: dict[str, Any] = await self._engine.server_stats(self._world.here())
        return found

    async def _settled(self, seconds: float) -> None:
        """Let streams end that run in the background."""
        await self._background.settled(seconds)

    async def close(self) -> None:
        """The same as `stop()` of the client."""
        await self._client.stop()

    async def __aenter__(self) -> AsyncClientConnection:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<connection of {self._client.info}>"

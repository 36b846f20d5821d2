"""The engine: connections, routing, pending calls and the two formats written in Rust.

Private. A *payload* is what travels with a call in one direction. Its Python shape depends
on the format tag (see `daffi.SerdeFormat`): PICKLE, `bytes` (any buffer when it came) or a list
that holds the pickle and then its out-of-band buffers; JSON and MSGPACK, the plain object itself,
which is encoded and decoded here; OPAQUE, `bytes` or `str` (any buffer when sending) and `None` for
nothing. Arguments travel as the payload `(args, kwargs)` in JSON and MSGPACK.
"""

from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any, final

from typing_extensions import disjoint_base

__all__ = [
    "Call",
    "CallCoroutine",
    "CallFuture",
    "Client",
    "Completions",
    "Job",
    "Mailbox",
    "Parking",
    "Pending",
    "Server",
    "Stream",
    "Token",
    "__version__",
    "decode_json",
    "decode_msgpack",
    "encode_json",
    "encode_msgpack",
    "forks",
    "shutdown",
]

__version__: str

_Function = tuple[str, str, str]  # name, signature, first line of its documentation
_Answer = tuple[int, Any]  # format, payload
_Address = tuple[str, str, int]  # "tcp", host, port; or "unix", path, 0
_ServerTls = tuple[str, str, str | None]  # cert_file, key_file, ca_file
# ca_file, server_hostname, (cert_file, key_file)
_ClientTls = tuple[str | None, str, tuple[str, str] | None]

# Whatever takes `completions` waits without them; with them it gives at once what that loop
# awaits, a `Call` or for what happens once per node or connection a future of asyncio.

@final
class Completions:
    """What comes for one event loop: outcomes of calls, calls to run, calls to cancel.

    `home` is the loop, or what stands for it, and `soon(function)` runs a function in its next
    turn. A loop that is not one of asyncio gives `waiter`, an async function that waits for a
    `Call`. The loop watches `fileno()`; one that can't watch files gives `wake`, which may be
    called from any thread.
    """

    home: Any
    @property
    def closed(self) -> bool:
        """Whether the loop has ended."""

    def __new__(
        cls,
        home: Any,
        soon: Callable[[Callable[[], None]], object],
        *,
        waiter: Callable[[Call], Any] | None = None,
        wake: Callable[[], object] | None = None,
    ) -> Completions: ...
    def fileno(self) -> int: ...
    def selector(self) -> int | None:
        """Another file to watch: connections that the loop reads by itself, in `drain`. None where
        it does not."""

    def drain(self) -> list[tuple[Context, Callable[[Any], object], Any]]:
        """What is to be run now. What is sent until `let_go` leaves with that, in one write."""

    def let_go(self) -> None: ...
    def close(self) -> None:
        """The loop has ended: calls that have not are given up."""

@disjoint_base
class Call:
    """A call that was made from an event loop; it may be awaited once.

    On asyncio it does what an `asyncio.Future` does. Cancelling cancels the call.
    """

    _asyncio_future_blocking: bool | None
    @property
    def _cancel_message(self) -> Any: ...
    def _make_cancelled_error(self) -> BaseException: ...
    @staticmethod
    def by_hand(completions: Completions, cancel: Callable[[], object] | None = None) -> Call:
        """One that `set_result` or `set_exception` ends; cancelled, it calls `cancel`."""

    def set_result(self, value: Any) -> None: ...
    def set_exception(self, error: BaseException) -> None: ...
    def done(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def result(self) -> Any: ...
    def exception(self) -> BaseException | None: ...
    def cancel(self, msg: Any = None) -> bool: ...
    def get_loop(self) -> Any: ...
    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None: ...
    def remove_done_callback(self, callback: Callable[[Any], object]) -> int: ...
    def __await__(self) -> Any: ...
    def __iter__(self) -> Any: ...
    def __next__(self) -> Any: ...

@final
class CallCoroutine(Call):
    """What is made: for `create_task` a coroutine."""

    def send(self, value: Any) -> Any: ...
    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any: ...
    def close(self) -> None: ...

@final
class CallFuture(Call):
    """What it becomes in the hands of `asyncio.wait`, which takes no coroutines."""

@final
class Mailbox:
    """Calls that came for one node, waiting for the threads that run them."""

    workers: int  # the most threads that it may have

    def __new__(cls, workers: int, on_loop: bool = False) -> Mailbox:
        """`on_loop`: coroutine functions run on a loop, and `workers` counts them too."""

    def settle(self, completions: Completions, start: Callable[[list[Job]], object]) -> None:
        """From now on jobs of coroutine functions are given to `start`, on that loop."""

    def set_coroutines(self, names: Sequence[str]) -> None:
        """These functions are coroutine functions."""

    def offer(self, functions: Sequence[tuple[str, Callable[..., Any]]]) -> None:
        """From now on these are the functions, with their names."""

    def take(self) -> Job | None:
        """Wait for the next job; `None` once the mailbox is closed and empty.

        Marks the calling thread as one of this node's: while it waits in a call that it
        made from inside a callback, it is handed calls of the same chain.
        """

    def has(self, job: Job) -> bool:
        """Whether this job came to this mailbox."""

    def crowded(self) -> bool:
        """Whether the caller should start one more thread that takes jobs.

        True when no thread is idle and fewer than `workers` exist; the answer counts the
        new thread as existing.
        """

    def close(self) -> None: ...

@final
class Job:
    """One call that somebody made of us. Dropped unanswered, it answers with an error."""

    function: str
    caller: str
    format: int
    deadline: float | None  # seconds on the clock of time.monotonic()
    oneway: bool  # nobody waits for the outcome
    cancelled: bool

    def on_cancel(self, cancel: Callable[[None], object]) -> None:
        """Have `cancel(None)` called on the job's loop when it is given up or too late."""

    def open(self) -> tuple[Callable[..., Any], int, Any, bool] | None:
        """Begin to run it: its function, the format, the arguments as they travelled, `oneway`.

        `None` when it was cancelled or is too late, and is answered so. `LookupError` when the
        function is not offered any more, `SerializationError` when what came can't be read. May be
        called once, and once more each time `done` says so.
        """

    def finish(self, format: int, payload: Any) -> None:
        """Answer. Raises `SerializationError` or `MessageTooLarge`; the job is then still open.

        `bytes`, and a memoryview of them or that is the only way to its memory, are sent from where
        they are if they are large; any other buffer is copied.
        """

    def done(self) -> bool:
        """Answer a call whose outcome nobody waits for.

        Whether the job is now the next item of the same stream, which is to be opened: only for
        who took it from the mailbox, and where nobody else waits there.
        """

    def fail(
        self,
        kind: str,
        type_name: str,
        message: str,
        traceback: str,
        arguments: tuple[Any, ...] | None,
        pickled: bytes | None,
    ) -> None:
        """Answer with a failure. Never raises; arguments that are not plain are left out."""

@final
class Parking:
    """Where a thread that took `job` waits for other Python code, a coroutine on a loop, say."""

    def __new__(cls, job: Job) -> Parking: ...
    def wake(self) -> None: ...
    def wait(self) -> Job | bool:
        """True when woken, False (once) when `job` was cancelled, or a call of its chain to run."""

@final
class Pending:
    """An answer that has not come, left because a call of the same chain wants to run first."""

    job: Job
    def wait(self) -> Any:
        """Go on waiting: what `Client.call` returns."""

@final
class Stream:
    """One stream to one worker. Dropping it ends it."""

    def send(
        self, payload: Any, timeout: float | None = None, completions: Completions | None = None
    ) -> Any:
        """Send one item, waiting for credit; with acknowledgements, also until it has run."""

    def opened(self, timeout: float | None = None, completions: Completions | None = None) -> Any:
        """Wait until the worker has taken the stream."""

    def end(self) -> None: ...

@final
class Token:
    """A secret on its way to nodes. It says nothing of itself to anybody."""

    def __new__(cls, secret: str) -> Token: ...

@final
class Client:
    def __new__(
        cls,
        *,
        name: str,
        address: _Address,
        tls: _ClientTls | None,
        mailbox: Mailbox,
        max_message: int,
        reconnect: bool,
        connect_timeout: float,
        allow_pickle: bool | None,
        token: Token | None = None,
    ) -> Client: ...
    def connect(self, wait: float | None, completions: Completions | None = None) -> Any: ...
    @property
    def server(self) -> str | None:
        """The name of the server that we greeted last; None before the first time."""

    def call(
        self,
        function: str,
        format: int,
        payload: Any,
        *,
        receivers: Sequence[str] | None = None,
        cast: bool = False,
        timeout: float | None = None,
        parent: Job | None = None,
        completions: Completions | None = None,
        convert: Callable[..., Any] | None = None,
    ) -> Any:
        """Call and wait: an answer, for casts a dict of answers and exceptions, or `Pending`.

        `convert` makes of that what a `Call` gives.

        A call made inside a callback names the callback's job as its `parent`: it joins the
        chain and inherits the deadline.
        """

    def post(
        self,
        function: str,
        format: int,
        payload: Any,
        receivers: Sequence[str] | None,
        cast: bool,
        parent: Job | None = None,
        completions: Completions | None = None,
    ) -> Any:
        """Call and forget; waits while the pipe is full. A loop gets `Overloaded` instead."""

    def open(
        self,
        function: str,
        format: int,
        *,
        receiver: str | None = None,
        acknowledged: bool = True,
        timeout: float | None = None,
        parent: Job | None = None,
    ) -> Stream: ...
    def wait_for_members(
        self, names: Sequence[str], timeout: float | None, completions: Completions | None = None
    ) -> Any: ...
    def wait_for_function(
        self, name: str, timeout: float | None, completions: Completions | None = None
    ) -> Any: ...
    def server_stats(self, completions: Completions | None = None) -> Any:
        """What the server counts, as its own `stats()` has it."""

    # What follows is the same on a Server.
    def announce(self, functions: Sequence[_Function]) -> None:
        """The functions that this node offers from now on, all of them."""

    def members(self, completions: Completions | None = None) -> Any: ...
    def stats(self) -> dict[str, Any]: ...
    def watch(self) -> None:
        """Ask for presence events; before or after the start."""

    def next_event(self, completions: Completions | None = None) -> Any:
        """Wait for ("connected" | "disconnected", member); None when the node has stopped."""

    def join(self, timeout: float | None, completions: Completions | None = None) -> Any:
        """Wait until the node has stopped (True); raises what ended a client for good."""

    def stop(self, timeout: float, completions: Completions | None = None) -> Any:
        """Drain for at most `timeout` seconds, then close."""

    def abandon(self) -> None:
        """End it at once, without goodbyes."""

@final
class Server:
    def __new__(
        cls,
        *,
        name: str,
        address: _Address,
        tls: _ServerTls | None,
        mailbox: Mailbox | None,
        max_message: int,
        allow_pickle: bool | None,
        allowed_origins: Sequence[str] | None,
        allowed_hosts: Sequence[str] | None,
        balance: str,
        token: Token | None = None,
    ) -> Server:
        """A Router has no mailbox; a Service has one."""

    def start(self, completions: Completions | None = None) -> Any: ...
    @property
    def port(self) -> int | None: ...
    def announce(self, functions: Sequence[_Function]) -> None: ...
    def members(self, completions: Completions | None = None) -> Any: ...
    def stats(self) -> dict[str, Any]: ...
    def watch(self) -> None: ...
    def next_event(self, completions: Completions | None = None) -> Any: ...
    def join(self, timeout: float | None, completions: Completions | None = None) -> Any: ...
    def stop(self, timeout: float, completions: Completions | None = None) -> Any: ...
    def abandon(self) -> None: ...

def shutdown() -> None:
    """Stop every node of this process at once; for `atexit`."""

def forks() -> int:
    """How often this process is a fork of one that had the engine loaded."""

def encode_json(value: Any, /) -> bytes:
    """One of the four that show the built-in formats to tests.

    `SerializationError` names the place and what is wrong there.
    """

def decode_json(data: bytes, /) -> Any: ...
def encode_msgpack(value: Any, /) -> bytes: ...
def decode_msgpack(data: bytes, /) -> Any: ...

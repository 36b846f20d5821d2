"""Running callbacks: the threads of a node, one job from arguments to answer, `current_call`.

Plain functions run on the node's own threads; a coroutine runs on the node's background event
loop while the thread that took its job waits. A thread that waits for something inside a
callback runs calls of the same chain meanwhile, so that nested calls never lock each other out.
No frame of the engine is on the stack while user code runs: jobs are handed out and given back.
Names, addresses and how a caller waits may not live here. Imports the engine, `loop`,
`formats`, `failures`, `registry` and `exceptions`; asyncio only when the first coroutine comes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context, ContextVar, copy_context
from types import CoroutineType
from typing import Any, TypeVar

from daffi._native import Job, Mailbox, Parking, Pending
from daffi.exceptions import MessageTooLarge, SerializationError
from daffi.failures import describe
from daffi.formats import SerdeFormat, dumps, pack_result, unpack_arguments
from daffi.log import Logger
from daffi.loop import Loop, current
from daffi.registry import Callback

_T = TypeVar("_T")
_PICKLE, _OPAQUE = int(SerdeFormat.PICKLE), int(SerdeFormat.OPAQUE)
_log = Logger("daffi.dispatch")

_job: ContextVar[Job] = ContextVar("daffi_job")

current_job: Callable[[None], Job | None] = _job.get
"""`current_job(None)`: the job whose callback runs in this context, or None."""


class CurrentCall:
    """The call that a callback is running for.

    `caller` is the name of the node that called, `function` the name it called, `deadline` the
    moment on the clock of `time.monotonic()` (seconds) when the caller gives up, or None,
    `headers` what the caller sent along, `serde` the format of the arguments.
    """

    __slots__ = ("caller", "deadline", "function", "headers", "serde")

    def __init__(self, job: Job) -> None:
        self.caller = job.caller
        self.function = job.function
        self.deadline = job.deadline
        self.headers: dict[str, str] = {}
        self.serde = SerdeFormat(job.format)

    def __repr__(self) -> str:
        return f"<call of {self.function!r} by {self.caller!r}>"


def current_call() -> CurrentCall:
    """The call that is being run; `LookupError` outside a callback."""
    job = _job.get(None)
    if job is None:
        raise LookupError("current_call() works only inside a callback")
    return CurrentCall(job)


class _Here(threading.local):
    """What the current thread is to daffi."""

    dispatcher: Dispatcher | None = None  # whose jobs it takes
    parked: tuple[Job, ...] = ()  # the jobs for whose coroutines it waits, outermost first


_here = _Here()


def settle(outcome: Any) -> Any:
    """What a call came to in the end; runs the calls of the same chain that want to run first."""
    while type(outcome) is Pending:
        run(outcome.job)
        outcome = outcome.wait()
    return outcome


def inside(parent: Job, wait: Callable[..., _T], /, *args: Any, **kwargs: Any) -> _T:
    """`wait(...)`, a blocking call that is made inside the callback of `parent`."""
    loop = current()
    if loop is None:
        return wait(*args, **kwargs)
    # A coroutine that blocks its loop: a call of its chain must not be sent to that loop.
    loop.blocked_by = parent
    try:
        return wait(*args, **kwargs)
    finally:
        loop.blocked_by = None


def run(job: Job) -> None:
    """Run a job that was handed to this thread, one of a node's own. Never raises."""
    dispatcher = _here.dispatcher
    if dispatcher is not None:
        dispatcher.run(job)


class Dispatcher:
    """Runs the jobs of one mailbox on threads that are made when they are needed."""

    def __init__(self, name: str, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self._name = name
        self._offers = False
        self._lock = threading.Lock()
        self._started = 0
        self._loop: Loop | None = None
        self._closed = False

    def offer(self, callbacks: Iterable[Callback]) -> None:
        """From now on these are the functions; the first thread starts with the first one."""
        functions = [(found.name, found.function) for found in callbacks]
        self._offers = bool(functions)
        self.mailbox.offer(functions)

    def start(self) -> None:
        """Start taking jobs, if there is a function to run; may be called again."""
        if self._offers and self._started == 0 and self.mailbox.crowded():
            self._start_thread()

    def close(self) -> None:
        """Let the threads and the loop end; those that run user code are not waited for."""
        with self._lock:
            self._closed = True
            loop, self._loop = self._loop, None
        self.mailbox.close()
        if loop is not None:
            loop.close()

    def is_running_caller(self) -> bool:
        """Whether this is called from inside one of our own callbacks."""
        job = _job.get(None)
        return job is not None and self.mailbox.has(job)

    def run(self, job: Job) -> None:
        """From the arguments to the answer. Never raises: what goes wrong is the answer.

        For a job that was handed over while its thread waits: it is one item of a stream at most.
        """
        Context().run(self._answer, job, True)

    def _start_thread(self) -> None:
        with self._lock:
            self._started += 1
            name = f"daffi-{self._name}-{self._started}"
        try:
            threading.Thread(target=self._take, name=name, daemon=True).start()
        except RuntimeError:  # those that there are go on
            _log.exception(
                "%s: the system gives no thread for callbacks; the %d there are go on",
                self._name,
                self._started - 1,
            )

    def _take(self) -> None:
        mailbox, answer = self.mailbox, self._answer
        workers = mailbox.workers
        _here.dispatcher = self
        while True:
            job = mailbox.take()
            if job is None:
                return
            if self._started < workers and mailbox.crowded():
                self._start_thread()
            if Context().run(answer, job, True):
                # The items of a stream that came meanwhile: each has a fresh context all the same.
                fresh = Context()
                fresh.run(_job.set, job)
                while fresh.copy().run(answer, job, False):
                    pass
                del fresh
            del job  # not kept while waiting for the next one

    def _answer(self, job: Job, fresh: bool) -> bool:
        """Whether the next item of the same stream has come, and is to be answered too.

        `fresh`: the context does not know of the job yet.
        """
        # All in line: each further frame of Python costs a small call some percent. None of the
        # engine may do it, as the exit of the interpreter may end this thread in the function.
        try:
            try:
                opened = job.open()
                if opened is None:
                    return False
                function, format, payload, oneway = opened
                if format == _OPAQUE:
                    args, kwargs = (payload,), None
                else:
                    args, kwargs = unpack_arguments(format, payload)
            except Exception as error:
                self._refuse(job, error)
                return False
            if fresh:
                _job.set(job)
            try:
                result = function(*args, **kwargs) if kwargs else function(*args)
                if type(result) is CoroutineType:
                    result = self._await(job, result)
            except BaseException as error:
                self.fail(job, error)
                return False
            del opened, payload, args, kwargs
            if oneway:
                return job.done()
            outcome = [result]
            del result
            self.finish(job, outcome)
        except BaseException:
            _log.exception(
                "%s: %s, called by %r, could not be answered", self._name, job.function, job.caller
            )
        return False

    def take_call(
        self, job: Job
    ) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]] | None:
        """The function and its arguments; None when it must not run, and it is answered so.

        From here on the current context is the job's.
        """
        try:
            opened = job.open()
            if opened is None:
                return None
            function, format, payload, _ = opened
            args, kwargs = unpack_arguments(format, payload)
        except Exception as error:
            self._refuse(job, error)
            return None
        _job.set(job)
        return function, args, kwargs

    def _refuse(self, job: Job, error: Exception) -> None:
        """Answer that it did not run: it can't be read, or (`LookupError`) is not offered."""
        kind, text = "unreadable", str(error)
        if type(error) is LookupError:
            kind = "unreachable"
            text = f"{self._name!r} does not offer {job.function!r} any more"
        if job.oneway:
            _log.warning(
                "%s did not run, and its caller %r does not wait: %s",
                job.function,
                job.caller,
                text,
            )
        job.fail(kind, "", text, "", None, None)

    def finish(self, job: Job, outcome: list[Any]) -> None:
        """Answer with the one thing in `outcome`, what the function returned, and take it out.

        A large buffer that nobody else holds then is sent without a copy, so who calls this has
        let go of the arguments, which a function may return.
        """
        if job.oneway:
            job.done()  # False: only a job that a thread took becomes the next item
            return
        format = job.format
        try:
            job.finish(format, pack_result(format, outcome.pop()))
        except Exception as error:
            kind = "too_large" if isinstance(error, MessageTooLarge) else "serialization"
            if not isinstance(error, (MessageTooLarge, SerializationError, TypeError)):
                _log.exception("%s: the result of %s can't be sent", self._name, job.function)
            job.fail(kind, "", f"the result can't be sent: {error}", "", None, None)

    def fail(self, job: Job, error: BaseException) -> None:
        """Answer with what the function raised."""
        if job.oneway:
            text = "%s raised, and its caller %r does not wait"
            _log.error(text, job.function, job.caller, exc_info=error)
        pickled = dumps if job.format == _PICKLE else None
        type_name, message, traceback, arguments, data = describe(error, pickled)
        job.fail("raised", type_name, message, traceback, arguments, data)

    def _await(self, job: Job, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine that runs on the loop; cancelling the job cancels it."""
        parking = Parking(job)
        loop, spare = self._loop_for(coroutine)
        errand = loop.send(coroutine, copy_context(), parking.wake)
        before = _here.parked
        _here.parked = (*before, job)
        try:
            while True:
                news = parking.wait()
                if news is True:
                    break
                if news is False:
                    errand.cancel()
                else:
                    self.run(news)
        finally:
            _here.parked = before
            if spare:
                loop.close()
        return errand.result()

    def _loop_for(self, coroutine: Coroutine[Any, Any, Any]) -> tuple[Loop, bool]:
        """The node's loop; or a spare one, where a coroutine of this chain blocks that."""
        with self._lock:
            if self._closed:
                coroutine.close()
                raise RuntimeError("the node is stopping")
            if self._loop is None:
                self._loop = Loop(f"daffi-{self._name}-loop")
            loop = self._loop
        blocked_by = loop.blocked_by
        if blocked_by is not None and any(blocked_by is job for job in _here.parked):
            return Loop(f"daffi-{self._name}-spare"), True
        return loop, False

"""A proxy that spoils a TCP connection: latency, slices, reset, half-close, black hole.

It runs on a thread and an event loop of its own, so that no world is held up by it, and
its switches may be turned at any time from any thread. Imports the standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

Writers = tuple[asyncio.StreamWriter, asyncio.StreamWriter]


class FaultProxy:
    """Forwards `port` of this machine, and harms what passes as its switches say.

    `latency`: seconds added to every piece. `slice`: bytes per piece, each sent alone.
    `hole`: nothing passes any more and nobody is told. `refuse`: new connections are reset.
    `record`: what passes, either way, is kept in `passed`.
    """

    def __init__(self, port: int) -> None:
        self.latency = 0.0
        self.slice = 0
        self.hole = False
        self.refuse = False
        self.record = False
        self.passed = bytearray()
        self.port = 0
        self.connections = 0  # accepted so far
        self._target = port
        self._pairs: set[Writers] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def reset(self) -> None:
        """End every connection with a reset on both sides."""
        self._do(self._each(_reset))

    def half_close(self) -> None:
        """Tell both sides that the other will send no more, and go on reading."""
        self._do(self._each(_half_close))

    def reset_server_side(self) -> None:
        """Swallow everything and reset the server's side only; the client hears nothing."""
        self.hole = True
        self._do(self._each(lambda pair: _abort(pair[1])))

    async def _each(self, harm: Callable[[Writers], None]) -> None:
        for pair in list(self._pairs):
            with contextlib.suppress(OSError):
                harm(pair)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        self._server.close()
        for pair in list(self._pairs):
            for writer in pair:
                writer.transport.abort()
        me = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not me]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refuse:
            _abort(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _abort(writer)
            return
        pair = (writer, far_writer)
        self._pairs.add(pair)
        try:
            await asyncio.gather(
                self._forward(reader, far_writer), self._forward(far_reader, writer)
            )
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._pairs.discard(pair)
            for end in pair:
                end.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if self.record:
                self.passed += data
            if self.latency:
                await asyncio.sleep(self.latency)
            if self.hole:
                continue
            if self.slice:
                await self._slices(writer, data)
            else:
                writer.write(data)
                await writer.drain()
        if not self.hole and writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()

    async def _slices(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), self.slice):
            writer.write(data[start : start + self.slice])
            await asyncio.sleep(0)
        await writer.drain()


def _abort(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _reset(pair: Writers) -> None:
    for writer in pair:
        _abort(writer)


def _half_close(pair: Writers) -> None:
    for writer in pair:
        if not writer.is_closing():
            writer.write_eof()

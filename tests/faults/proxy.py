"""A TCP proxy between one process and Redis, whose connections can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

_BLOCK = 64 * 1024
_CALL_SECONDS = 10.0

ResultT = TypeVar("ResultT")


class Cut(Enum):
    """The ways in which a network connection can fail."""

    DROPPED = "connections dropped"
    """Open connections end, and new ones work at once."""
    REFUSED = "connections refused"
    """Open connections end, and new ones are refused until the proxy is healed."""
    SILENT = "silence"
    """The proxy passes nothing on and closes nothing. Connections that are open, or opened before the proxy is healed,
    stay silent for ever."""


@dataclass(slots=True, eq=False)
class _Wire:
    """One connection through the proxy."""

    silent: bool = False
    ends: list[asyncio.StreamWriter] = field(default_factory=list)
    closed: bool = False

    def add_end(self, end: asyncio.StreamWriter) -> None:
        self.ends.append(end)
        if self.closed:
            end.transport.abort()

    def close(self) -> None:
        self.closed = True
        for end in self.ends:
            end.transport.abort()


class Proxies:
    """All proxies of a campaign, which share one event loop in its own thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self._proxies: list[Proxy] = []

    def open(self, target: int | Path) -> Proxy:
        """Open a proxy to a port of this machine or to a Unix socket."""
        proxy = Proxy(self, target)
        self._proxies.append(proxy)
        return proxy

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_SECONDS)

    def close(self) -> None:
        for proxy in self._proxies:
            proxy.cut(Cut.REFUSED)
        self.run(self._end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @staticmethod
    async def _end_all() -> None:
        # A task that is canceled before it begins would leave its connection open. All tasks end soon by themselves,
        # because the lines are cut; only one that still waits for its target has to be canceled.
        for _ in range(100):
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.sleep(0.01)
            if not others:
                return
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class Proxy:
    """Listens on `port` of loopback and passes bytes to and from `target`."""

    def __init__(self, proxies: Proxies, target: int | Path) -> None:
        self._run = proxies.run
        self._target = target
        self._wires: set[_Wire] = set()
        self._silent = False
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self._run(self._listen())

    def cut(self, how: Cut) -> None:
        self._run(self._cut(how))

    def heal(self) -> None:
        """Let new connections work again."""
        self._run(self._heal())

    async def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(100)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener
        # An asyncio server loses what it has accepted just before it is closed.
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        wire = _Wire(silent=self._silent)
        self._wires.add(wire)
        task = asyncio.get_running_loop().create_task(self._pass_on(connection, wire))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _cut(self, how: Cut) -> None:
        if how is Cut.SILENT:
            self._silent = True
            for wire in self._wires:
                wire.silent = True
            return
        if how is Cut.REFUSED and self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for wire in list(self._wires):
            wire.close()

    async def _heal(self) -> None:
        self._silent = False
        if self._listener is None:
            await self._listen()

    async def _pass_on(self, connection: socket.socket, wire: _Wire) -> None:
        reader, near = await asyncio.open_connection(sock=connection)
        wire.add_end(near)
        try:
            if wire.silent:
                await _swallow(reader)
                return
            far_reader, far = await self._open_far()
            wire.add_end(far)
            await asyncio.gather(_pump(reader, far, wire), _pump(far_reader, near, wire))
        except OSError:
            return
        finally:
            self._wires.discard(wire)
            wire.close()

    async def _open_far(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection("127.0.0.1", self._target)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: _Wire) -> None:
    """Pass bytes on until one side ends. A silent wire hides that end from the other side as well."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_BLOCK):
            if not wire.silent:
                writer.write(data)
                await writer.drain()
    if not wire.silent:
        wire.close()


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(_BLOCK):
        pass

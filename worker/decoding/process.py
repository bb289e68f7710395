"""One decoder process: calls go in and answers come out through a pipe of its own, so that its death is nobody else's.

No lock and no queue is shared between decoder processes: one that is killed in the middle of anything (by the kernel
for its memory, by its watcher for its time) takes nothing along but the call that it had in hand.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

START_SECONDS = 60.0
"""How long a process may take to start: it imports Pillow and NumPy, perhaps on a machine that is busy."""
_STOP_SECONDS = 3.0

CallT = TypeVar("CallT")


class ProcessDied(Exception):
    """The decoder process has ended."""


class ProcessLate(Exception):
    """The decoder process has not answered in time; it was killed."""


class DecoderProcess(Generic[CallT]):
    """A process that answers calls one after the other; one thread uses it. Calls may be sent ahead."""

    def __init__(self, context: SpawnContext, work: Callable[..., Any], prepare: Callable[..., None], *given: Any):
        """`prepare(*given)` runs once in the process, then `work(*arguments)` for each call."""
        self._connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(theirs, work, prepare, given), name="decoder", daemon=True
        )
        self._process.start()
        # Ours is then the only other end: it ends with the process, and the process with us.
        theirs.close()
        self.in_hand: deque[CallT] = deque()
        """Calls that were sent and not yet answered, the one that it works on first."""
        self._since = time.monotonic()
        """When it began with the first of them."""
        self.started = False
        """Whether it ever could take calls."""

    @property
    def exit_code(self) -> int | None:
        self._process.join(_STOP_SECONDS)
        return self._process.exitcode

    def wait_until_started(self) -> None:
        """Return once it can take calls.

        Raises:
            ProcessDied, ProcessLate: it never will.
        """
        self._since = time.monotonic()
        self._receive(START_SECONDS)
        self.started = True

    def check(self) -> None:
        """See whether it is still there while it has nothing to do.

        Raises:
            ProcessDied: it is not.
        """
        if not self._process.is_alive():
            self._connection.close()
            raise ProcessDied

    def send(self, call: CallT, arguments: Sequence[Any]) -> None:
        """Have it answer a call, after those that it has in hand.

        Raises:
            ProcessDied: it cannot, and it has lost what it had in hand, this call included.
        """
        if not self.in_hand:
            self._since = time.monotonic()
        self.in_hand.append(call)
        try:
            self._connection.send(arguments)
        except OSError as error:
            raise ProcessDied from error

    def answer(self, seconds: float) -> tuple[CallT, Any]:
        """The first call in hand, and what `work` returned for it, or the exception that it raised.

        Raises:
            ProcessDied: it ended instead; what it had in hand is lost.
            ProcessLate: it has worked on the call for more than `seconds`.
        """
        answer = self._receive(seconds)
        self._since = time.monotonic()
        return self.in_hand.popleft(), answer

    def _receive(self, seconds: float) -> Any:
        try:
            if not self._connection.poll(max(0.0, self._since + seconds - time.monotonic())):
                self.kill()
                raise ProcessLate
            return self._connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            self.kill()
            raise ProcessDied from error

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()
        # Until then it may still write where the next picture is to go.
        self._process.join(_STOP_SECONDS)
        self._connection.close()

    def close(self) -> None:
        """Let it end, once it has answered."""
        self._connection.close()
        self._process.join(_STOP_SECONDS)
        self._process.kill()
        self._process.join()


def _serve(
    connection: Connection, work: Callable[..., Any], prepare: Callable[..., None], given: Sequence[Any]
) -> None:
    """What the process does: until the other end of its pipe is gone."""
    # Ctrl-C is for its parent, which lets it finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare(*given)
    connection.send(os.getpid())
    while True:
        try:
            arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = work(*arguments)
        except Exception as error:  # noqa: BLE001 (handed to whoever waits for the call)
            answer = error
        try:
            connection.send(answer)
        except OSError:
            return

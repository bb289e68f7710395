"""One decoder process. Calls go in and answers come out through its own pipe, so its death affects no other process.

Decoder processes share no lock and no queue. The kernel may kill one for its memory, or the pool for its time; at any
moment this loses nothing but the calls that the process had not answered yet.
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
"""Seconds that a process may take to start. It imports Pillow and NumPy, perhaps on a busy machine."""
_STOP_SECONDS = 3.0

CallT = TypeVar("CallT")


class ProcessDied(Exception):
    """The decoder process has ended."""


class ProcessTimedOut(Exception):
    """The decoder process did not answer in time and was killed."""


class DecoderProcess(Generic[CallT]):
    """A process that answers calls in the order in which they are sent. Only one thread may use it."""

    def __init__(self, context: SpawnContext, work: Callable[..., Any], prepare: Callable[..., None], *given: Any):
        """Start the process. It runs `prepare(*given)` once, and then `work(*arguments)` for each call."""
        self._connection, child_connection = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(child_connection, work, prepare, given), name="decoder", daemon=True
        )
        self._process.start()
        # The pipe then has one end here and one in the process, so each side notices when the other one ends.
        child_connection.close()
        self.unanswered: deque[CallT] = deque()
        """Calls that were sent and not answered yet. The process works on the first one."""
        self._call_began = time.monotonic()
        """When the process began to work on the first unanswered call."""
        self.started = False
        """Whether the process has ever been ready for calls."""

    @property
    def exit_code(self) -> int | None:
        self._process.join(_STOP_SECONDS)
        return self._process.exitcode

    def wait_until_started(self) -> None:
        """Return once the process is ready for calls.

        Raises:
            ProcessDied, ProcessTimedOut: it failed to start.
        """
        self._call_began = time.monotonic()
        self._receive(START_SECONDS)
        self.started = True

    def check_alive(self) -> None:
        """Check that an idle process is still alive.

        Raises:
            ProcessDied: it is not.
        """
        if not self._process.is_alive():
            self._connection.close()
            raise ProcessDied

    def send(self, call: CallT, arguments: Sequence[Any]) -> None:
        """Send a call. The process answers it after the calls that were sent before.

        Raises:
            ProcessDied: the process has ended. All unanswered calls are lost, this one included.
        """
        if not self.unanswered:
            self._call_began = time.monotonic()
        self.unanswered.append(call)
        try:
            self._connection.send(arguments)
        except OSError as error:
            raise ProcessDied from error

    def receive_answer(self, seconds: float) -> tuple[CallT, Any]:
        """Return the first unanswered call and what `work` returned for it, or the exception that `work` raised.

        Raises:
            ProcessDied: the process ended instead. All unanswered calls are lost.
            ProcessTimedOut: it has worked on the call for more than `seconds`.
        """
        answer = self._receive(seconds)
        self._call_began = time.monotonic()
        return self.unanswered.popleft(), answer

    def _receive(self, seconds: float) -> Any:
        try:
            if not self._connection.poll(max(0.0, self._call_began + seconds - time.monotonic())):
                self.kill()
                raise ProcessTimedOut
            return self._connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            self.kill()
            raise ProcessDied from error

    def kill(self) -> None:
        """End the process at once, even in the middle of a call."""
        self._process.kill()
        # Until the process has ended, it may still write pixels into a slot that the next picture gets.
        self._process.join(_STOP_SECONDS)
        self._connection.close()

    def close(self) -> None:
        """Close the pipe, which ends the process. All calls must be answered before."""
        self._connection.close()
        self._process.join(_STOP_SECONDS)
        self._process.kill()
        self._process.join()


def _serve(
    connection: Connection, work: Callable[..., Any], prepare: Callable[..., None], given: Sequence[Any]
) -> None:
    """Run in the process: answer calls until the other end of the pipe is closed."""
    # Ctrl-C reaches this process too. The parent decides when it ends, and lets it finish its calls.
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
        except Exception as error:  # noqa: BLE001 (sent to the thread that waits for the call)
            answer = error
        try:
            connection.send(answer)
        except OSError:
            return

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
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

START_SECONDS = 60.0
"""Seconds that a process may take to start. It imports Pillow and NumPy, perhaps on a busy machine."""
_STOP_SECONDS = 3.0
_OUT_OF_MEMORY = 12
"""The exit code of a process whose memory did not suffice (ENOMEM of errno(3))."""

CallT = TypeVar("CallT")


class ProcessDied(Exception):
    """The decoder process has ended."""


class ProcessOutOfMemory(ProcessDied):
    """The memory of the decoder process did not suffice. A new process may have enough for the same picture."""


class ProcessTimedOut(Exception):
    """The decoder process did not answer in time and was killed."""


class DecoderProcess(Generic[CallT]):
    """A process that answers calls in the order in which they are sent. Only one thread may use it."""

    def __init__(self, context: SpawnContext, work: Callable[..., Any], prepare: Callable[..., None], *given: Any):
        """Start the process. It runs `prepare(*given)` once, and then `work(begin, *arguments)` for each call.

        `work` calls `begin` with the position of each part of the call, just before it works on that part.
        """
        self._connection, child_connection = context.Pipe()
        self._progress = _Progress(context)
        self._process: BaseProcess = context.Process(
            target=_serve, args=(child_connection, self._progress, work, prepare, given), name="decoder", daemon=True
        )
        self._process.start()
        # The pipe then has one end here and one in the process, so each side notices when the other one ends.
        child_connection.close()
        self.unanswered: deque[CallT] = deque()
        """Calls that were sent and not answered yet. The process works on the first one."""
        self._answered = 0
        self._began = time.monotonic()
        """When the process was given the first unanswered call, or had answered the call before it."""
        self.started = False
        """Whether the process has ever been ready for calls."""

    @property
    def exit_code(self) -> int | None:
        self._process.join(_STOP_SECONDS)
        return self._process.exitcode

    @property
    def position(self) -> int | None:
        """The part of the first unanswered call on which the process works. None if it has begun none of them."""
        begun = self._progress.read(self._answered)
        return None if begun is None else begun[0]

    def wait_until_started(self) -> None:
        """Return once the process is ready for calls.

        Raises:
            ProcessDied, ProcessTimedOut: it failed to start.
        """
        self._began = time.monotonic()
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
            self._began = time.monotonic()
        self.unanswered.append(call)
        try:
            self._connection.send(arguments)
        except OSError as error:
            raise ProcessDied from error

    def receive_answer(self, seconds: float) -> tuple[CallT, Any]:
        """Return the first unanswered call and what `work` returned for it, or the exception that `work` raised.

        Raises:
            ProcessDied: the process ended instead. All unanswered calls are lost.
            ProcessOutOfMemory: it ended because `work` raised a MemoryError.
            ProcessTimedOut: it has worked on a part of the call for more than `seconds`.
        """
        answer = self._receive(seconds)
        self._answered += 1
        self._began = time.monotonic()
        return self.unanswered.popleft(), answer

    def _receive(self, seconds: float) -> Any:
        try:
            while not self._connection.poll(max(0.0, self._part_began() + seconds - time.monotonic())):
                if time.monotonic() >= self._part_began() + seconds:
                    self.kill()
                    raise ProcessTimedOut
            return self._connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            self.kill()
            raise (ProcessOutOfMemory if self.exit_code == _OUT_OF_MEMORY else ProcessDied) from error

    def _part_began(self) -> float:
        begun = self._progress.read(self._answered)
        return self._began if begun is None else begun[1]

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


class _Progress:
    """Where a process is in its calls, in memory that it shares with its parent. Messages would cost more time."""

    def __init__(self, context: SpawnContext) -> None:
        self._shared = context.RawArray("d", (-1.0, 0.0, 0.0))
        """The number of the call, the position in it, and when it began, by the monotonic clock of the system."""

    def write(self, call: int, position: int) -> None:
        """Note, in the process, that a part of a call begins."""
        self._shared[2], self._shared[1] = time.monotonic(), position
        # Last, so that a reader who sees the number of the call also sees its position and time.
        self._shared[0] = call

    def read(self, call: int) -> tuple[int, float] | None:
        """Return the position in a call and when it began. None if the process does not work on this call."""
        current, position, began = self._shared
        return (int(position), began) if current == call else None


def _serve(
    connection: Connection,
    progress: _Progress,
    work: Callable[..., Any],
    prepare: Callable[..., None],
    given: Sequence[Any],
) -> None:
    """Run in the process: answer calls until the other end of the pipe is closed."""
    # Ctrl-C reaches this process too. The parent decides when it ends, and lets it finish its calls.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare(*given)
    connection.send(os.getpid())
    for call in count():
        try:
            arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = work(partial(progress.write, call), *arguments)
        except MemoryError:
            # Memory that a library leaked or that is fragmented only returns to the system when the process ends.
            os._exit(_OUT_OF_MEMORY)
        except Exception as error:  # noqa: BLE001 (sent to the thread that waits for the call)
            answer = error
        try:
            connection.send(answer)
        except OSError:
            return

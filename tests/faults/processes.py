"""Processes, and a supervisor that restarts those that have died, as any process manager does."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from core.settings import PROJECT

RESTART_SECONDS = (0.2, 1.5)
"""Shortest and longest time until the supervisor restarts a dead process."""
STOP_SECONDS = 25.0
"""Seconds that a process may take to end after it was asked to end."""
_POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1
"""The value of this constant in linux/prctl.h."""


@dataclass(slots=True, eq=False)
class Process:
    """One process of the installation, with its children, in a process group of its own."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    user: str | None = None
    """The user that it runs as, or None for the user of the tests."""
    stop_signal: signal.Signals = signal.SIGTERM
    """The signal that asks it to end."""
    running: subprocess.Popen[bytes] | None = None
    restart_at: float | None = None
    ended_by_us: bool = False
    """Whether the campaign ended it."""
    unexpected_exits: list[int] = field(default_factory=list)
    """Its exit codes when it ended although the campaign had not ended it."""

    def start(self) -> None:
        self.restart_at, self.ended_by_us = None, False
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.command,
                cwd=PROJECT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self.user,
                start_new_session=True,
                # preexec_fn is unsafe only if it takes a lock that another thread may hold; prctl takes none.
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )

    @property
    def alive(self) -> bool:
        return self.running is not None and self.running.poll() is None

    def children(self) -> list[psutil.Process]:
        """Return its direct children."""
        if self.running is None:
            return []
        try:
            return psutil.Process(self.running.pid).children()
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """Send SIGKILL to the process alone. The supervisor kills the children that it leaves behind."""
        self.ended_by_us = True
        self._signal(signal.SIGKILL, group=False)

    def kill_group(self) -> None:
        """Send SIGKILL to the process and its children at once."""
        self.ended_by_us = True
        self._signal(signal.SIGKILL, group=True)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP, group=True)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT, group=True)

    def terminate(self) -> None:
        self.ended_by_us = True
        self._signal(self.stop_signal, group=False)

    def end_group(self) -> None:
        """Kill the children that a dead process has left in its group."""
        assert self.running is not None
        self._signal(signal.SIGKILL, group=True)
        self.running = None

    def _signal(self, number: signal.Signals, *, group: bool) -> None:
        if self.running is None:
            return
        try:
            if group:
                os.killpg(self.running.pid, number)
            else:
                self.running.send_signal(number)
        except (ProcessLookupError, PermissionError):
            # The process is gone already. macOS answers EPERM for a group without processes.
            return


def _end_with_parent() -> None:
    """Have the kernel kill the process if the campaign itself is killed (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Supervisor:
    """Starts processes, and restarts dead ones after a random delay."""

    def __init__(self, rng: random.Random) -> None:
        self._chance = rng
        self._processes: list[Process] = []
        self._lock = threading.Lock()
        self._stopping = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    def start(self, process: Process) -> Process:
        with self._lock:
            process.start()
            self._processes.append(process)
        return process

    def stop(self) -> list[str]:
        """Stop all processes in the reverse order of their start. Return the names of those that had to be killed."""
        with self._lock:
            self._stopping = True
            killed = [process.name for process in reversed(self._processes) if not self._stop_process(process)]
        # The thread ends last, because the kernel kills a process when the thread that started it ends.
        self._ended.set()
        self._thread.join()
        return killed

    def unexpected_exits(self) -> dict[str, list[int]]:
        """Return the exit codes of processes that the campaign did not end, by process name."""
        return {process.name: process.unexpected_exits for process in self._processes if process.unexpected_exits}

    def _run(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            with self._lock:
                for process in () if self._stopping else self._processes:
                    self._restart_if_dead(process)

    def _restart_if_dead(self, process: Process) -> None:
        if process.running is not None and not process.alive:
            if not process.ended_by_us:
                process.unexpected_exits.append(process.running.returncode)
            process.end_group()
            process.restart_at = time.monotonic() + self._chance.uniform(*RESTART_SECONDS)
        if process.restart_at is not None and time.monotonic() >= process.restart_at:
            process.start()

    @staticmethod
    def _stop_process(process: Process) -> bool:
        """Stop a process and return whether it ended without being killed."""
        if process.running is None:
            return True
        process.thaw()
        process.terminate()
        try:
            process.running.wait(STOP_SECONDS)
            ended = True
        except subprocess.TimeoutExpired:
            process.kill_group()
            process.running.wait()
            ended = False
        process.end_group()
        return ended

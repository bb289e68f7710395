"""Processes one by one, and a keeper that starts again what has died, as any process manager does."""

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
"""Shortest and longest time until the keeper starts again what has died."""
STOP_SECONDS = 25.0
"""How long a process may take to end when it is asked to."""
_LOOK_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""


@dataclass(slots=True, eq=False)
class Process:
    """One process of the installation, with its children, in a process group of its own."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    user: str | None = None
    """Whom it runs as, where it is not us."""
    stop_signal: signal.Signals = signal.SIGTERM
    """What asks it to end."""
    running: subprocess.Popen[bytes] | None = None
    restart_at: float | None = None
    struck: bool = False
    """Whether its death, if it is dead, is our doing."""
    own_deaths: list[int] = field(default_factory=list)
    """Exit codes of deaths that were not our doing."""

    def start(self) -> None:
        self.restart_at, self.struck = None, False
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
                # prctl alone runs there: nothing that takes a lock which another thread may hold.
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )

    @property
    def alive(self) -> bool:
        return self.running is not None and self.running.poll() is None

    def children(self) -> list[psutil.Process]:
        """Its children, not their children."""
        if self.running is None:
            return []
        try:
            return psutil.Process(self.running.pid).children()
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """SIGKILL for the process itself; the keeper ends what it leaves behind."""
        self.struck = True
        self._signal(signal.SIGKILL, group=False)

    def kill_group(self) -> None:
        """SIGKILL for the process and its children at once."""
        self.struck = True
        self._signal(signal.SIGKILL, group=True)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP, group=True)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT, group=True)

    def terminate(self) -> None:
        self.struck = True
        self._signal(self.stop_signal, group=False)

    def bury(self) -> None:
        """End what a dead process has left in its group."""
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
            # Gone already. macOS says EPERM for a group whose processes are all gone.
            return


def _end_with_parent() -> None:
    """Have the kernel end the process if the campaign itself is killed (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Supervisor:
    """Starts processes, and starts again those that have died, after a delay by chance."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._processes: list[Process] = []
        self._lock = threading.Lock()
        self._stopping = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def start(self, process: Process) -> Process:
        with self._lock:
            process.start()
            self._processes.append(process)
        return process

    def stop(self) -> list[str]:
        """End everything, what was started last first. The names of those that had to be killed."""
        with self._lock:
            self._stopping = True
            stubborn = [process.name for process in reversed(self._processes) if not self._end(process)]
        # Only now: the kernel takes the thread that started a process for its parent.
        self._ended.set()
        self._thread.join()
        return stubborn

    def own_deaths(self) -> dict[str, list[int]]:
        """Exit codes of processes that died without our doing, by name."""
        return {process.name: process.own_deaths for process in self._processes if process.own_deaths}

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            with self._lock:
                for process in () if self._stopping else self._processes:
                    self._look_after(process)

    def _look_after(self, process: Process) -> None:
        if process.running is not None and not process.alive:
            if not process.struck:
                process.own_deaths.append(process.running.returncode)
            process.bury()
            process.restart_at = time.monotonic() + self._chance.uniform(*RESTART_SECONDS)
        if process.restart_at is not None and time.monotonic() >= process.restart_at:
            process.start()

    @staticmethod
    def _end(process: Process) -> bool:
        """Whether it ended when it was asked to."""
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
        process.bury()
        return ended

"""Child processes, watched: one that dies is named and started again; stopping leaves none behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

STOP_SECONDS = 20.0
"""How long children may take to finish what they have in hand before they are killed."""
_BACKOFF_FIRST, _BACKOFF_LONGEST = 0.5, 30.0
_HEALTHY_SECONDS = 60.0
"""A child that lived this long is restarted at once when it dies; one that keeps dying waits longer each time."""
_TAIL_LINES = 5
_PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""


@dataclass(slots=True)
class Child:
    """One process to keep running."""

    name: str
    command: list[str]
    on_death: Callable[[int], None] | None = None
    """Called with the process id of a child that has died."""
    environment: dict[str, str] = field(default_factory=dict)
    """What it has beside the supervisor's environment."""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    backoff: float = _BACKOFF_FIRST
    restart_at: float | None = None


@dataclass(slots=True)
class Supervisor:
    """Starts children in sessions of their own and keeps them running until `ask_to_stop`."""

    logs: Path
    environment: dict[str, str]
    console: Console
    _children: list[Child] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self, child: Child) -> None:
        self._children.append(child)
        self._launch(child)

    def ask_to_stop(self) -> None:
        """May be called from a signal handler."""
        self._stopping.set()

    def pause(self, seconds: float) -> bool:
        """Sleep; False as soon as stopping was asked for."""
        return not self._stopping.wait(seconds)

    def watch(self) -> None:
        """Keep the children running until stopping is asked for."""
        while self.pause(0.2):
            self.restart_dead()

    def restart_dead(self) -> None:
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._mourn(child, child.process.returncode)
            if child.restart_at is not None and time.monotonic() >= child.restart_at:
                self._launch(child)

    def stop(self) -> None:
        """Stop all children, the last started first, and whatever processes they started themselves."""
        self._stopping.set()
        running = [child.process for child in reversed(self._children) if child.process is not None]
        brokers = [c.process for c in self._children if c.name == "redis" and c.process is not None]
        workers = [process for process in running if process not in brokers]
        # Workers record and acknowledge what they have in hand: Redis goes last.
        for group in (workers, brokers):
            for process in group:
                # The leader alone: its decoders and servers are its own to stop, once they have finished.
                process.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            for process in group:
                try:
                    process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    self.console.print(f"process {process.pid} did not stop in {STOP_SECONDS:g} s: killed")
            for process in group:
                _kill_group(process)
                process.wait()

    def _launch(self, child: Child) -> None:
        child.restart_at = None
        child.started = time.monotonic()
        with self._log_path(child).open("ab") as log:
            child.process = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment | child.environment,
                # Its own process group: Ctrl-C reaches the supervisor alone, which stops all in order.
                start_new_session=True,
                # prctl alone runs there: nothing that takes a lock which another thread may hold.
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )

    def _mourn(self, child: Child, code: int) -> None:
        assert child.process is not None
        # Its own children (decoders, gunicorn's workers) must not outlive it.
        _kill_group(child.process)
        if child.on_death is not None:
            child.on_death(child.process.pid)
        child.process = None
        lived = time.monotonic() - child.started
        child.backoff = _BACKOFF_FIRST if lived > _HEALTHY_SECONDS else min(child.backoff * 2, _BACKOFF_LONGEST)
        child.restart_at = time.monotonic() + child.backoff
        self.console.print(f"{child.name} died ({_reason(code)}), restarting in {child.backoff:g} s", style="yellow")
        for line in _tail(self._log_path(child)):
            self.console.print(f"  {child.name}: {line}", style="dim", markup=False)

    def _log_path(self, child: Child) -> Path:
        return self.logs / f"{child.name}.log"


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM when the supervisor is gone, even if it was killed without a word (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # macOS says EPERM for a group whose processes are all gone.
        return


def _reason(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def _tail(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]

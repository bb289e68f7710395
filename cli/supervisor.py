"""Keep child processes running: restart those that die, and leave none behind at the end."""

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

from cli.log_files import LogFile

STOP_SECONDS = 20.0
"""Seconds that children may take to finish their work before they are killed."""
_BACKOFF_FIRST, _BACKOFF_LONGEST = 0.5, 30.0
"""Seconds before a restart, at first and at most."""
_HEALTHY_SECONDS = 60.0
"""A child that lived longer than this is restarted after the first backoff. Otherwise the backoff doubles each time."""
_TAIL_LINES = 5
"""The last lines of its log that are printed when a child dies."""
_DRAIN_SECONDS = 2.0
"""Seconds that the last lines of an ended child may take to arrive in its log file."""
_PR_SET_PDEATHSIG = 1
"""The constant of linux/prctl.h that sets the signal for the death of the parent."""


@dataclass(slots=True)
class Child:
    """A process to keep running."""

    name: str
    command: list[str]
    on_death: Callable[[int], None] | None = None
    """Called with the process id when the child has died."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables in addition to the supervisor's environment."""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    backoff: float = _BACKOFF_FIRST
    restart_at: float | None = None


@dataclass(slots=True)
class Supervisor:
    """Starts each child in a session of its own, and restarts it when it dies, until `ask_to_stop`."""

    logs: Path
    environment: dict[str, str]
    console: Console
    max_log_bytes: int
    """The size at which a log file is followed by another one."""
    _files: dict[str, LogFile] = field(default_factory=dict)
    """The log file of each child, by its name."""
    _children: list[Child] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self, child: Child) -> None:
        """Start a child and keep it running."""
        self._children.append(child)
        self._launch(child)

    def ask_to_stop(self) -> None:
        """End `watch` and `pause`. A signal handler may call this."""
        self._stopping.set()

    def pause(self, seconds: float) -> bool:
        """Sleep. Return False as soon as `ask_to_stop` is called."""
        return not self._stopping.wait(seconds)

    def watch(self) -> None:
        """Restart children that die until `ask_to_stop` is called."""
        while self.pause(0.2):
            self.restart_dead()

    def restart_dead(self) -> None:
        """Note which children have died, and restart those whose backoff is over."""
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._handle_death(child, child.process.returncode)
            if child.restart_at is not None and time.monotonic() >= child.restart_at:
                self._launch(child)

    def stop(self) -> None:
        """Stop all children and the processes that they started. The child that was started last stops first."""
        self._stopping.set()
        running = [child.process for child in reversed(self._children) if child.process is not None]
        redis = [c.process for c in self._children if c.name == "redis" and c.process is not None]
        workers = [process for process in running if process not in redis]
        # Redis stops last, because workers record and acknowledge their chunks while they stop.
        for group in (workers, redis):
            for process in group:
                # Only the leader gets the signal: it stops its own decoders or servers when they have finished.
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
        for file in self._files.values():
            file.wait(_DRAIN_SECONDS)
            file.close()

    def _launch(self, child: Child) -> None:
        child.restart_at = None
        child.started = time.monotonic()
        child.process = subprocess.Popen(
            child.command,
            stdin=subprocess.DEVNULL,
            # A pipe instead of the file itself: several processes that write to one file cannot begin another one.
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment | child.environment,
            # In a process group of its own, a child gets no Ctrl-C. The supervisor gets it and stops all in order.
            start_new_session=True,
            # Between fork and exec only prctl runs, which takes no lock that another thread may hold.
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )
        assert child.process.stdout is not None
        self._file_of(child).follow(child.process.stdout, child.process.pid)

    def _handle_death(self, child: Child, code: int) -> None:
        assert child.process is not None
        # Its own children, such as decoders and gunicorn's workers, must not outlive it.
        _kill_group(child.process)
        if child.on_death is not None:
            child.on_death(child.process.pid)
        child.process = None
        lived = time.monotonic() - child.started
        child.backoff = _BACKOFF_FIRST if lived > _HEALTHY_SECONDS else min(child.backoff * 2, _BACKOFF_LONGEST)
        child.restart_at = time.monotonic() + child.backoff
        self.console.print(f"{child.name} died ({_reason(code)}), restarting in {child.backoff:g} s", style="yellow")
        file = self._file_of(child)
        file.wait(_DRAIN_SECONDS)
        for line in file.tail(_TAIL_LINES):
            self.console.print(f"  {child.name}: {line}", style="dim", markup=False)

    def _file_of(self, child: Child) -> LogFile:
        if child.name not in self._files:
            self._files[child.name] = LogFile(self.logs / f"{child.name}.log", self.max_log_bytes)
        return self._files[child.name]


def _end_with_parent() -> None:
    """Ask the kernel to send SIGTERM when the supervisor dies, even if it was killed with SIGKILL (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # On macOS, killpg() fails with EPERM if all processes of the group have ended.
        return


def _reason(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"

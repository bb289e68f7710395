"""The processes of a running service: which of them die, and how much memory its decoders take."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

DECODER_MARK = "multiprocessing.spawn"
"""A part of the command line of a decoder. Workers spawn no other processes while they classify."""


class Watch:
    """Watches the processes below the supervisor of a service. Only Linux tells the peak of their memory."""

    def __init__(self, supervisor: int) -> None:
        self._root = psutil.Process(supervisor)
        self._others = [process for process in self._tree() if not _is_decoder(process)]
        self._decoders: set[psutil.Process] = set()
        self.decoders_lost = 0
        self.decoders_now()

    def _tree(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]

    def decoders_now(self) -> set[psutil.Process]:
        """Return the decoders that run, and count those that have ended since the last call."""
        found = {process for process in self._tree() if _is_decoder(process)}
        self.decoders_lost += len(self._decoders - found)
        self._decoders = found
        return found

    def begin(self) -> None:
        """Forget the peaks of memory so far (proc(5), clear_refs)."""
        for decoder in self._decoders:
            with suppress(OSError):
                Path(f"/proc/{decoder.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """Return the largest resident memory of a running decoder since `begin`, in bytes."""
        return max((_peak(decoder.pid) for decoder in self.decoders_now()), default=0)

    def dead(self) -> list[str]:
        """Return the command lines of the processes besides decoders that have died, each of them once."""
        dead = [process for process in self._others if not process.is_running()]
        self._others = [process for process in self._tree() if not _is_decoder(process)] if dead else self._others
        return [str(process.pid) for process in dead]


def _is_decoder(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        command = " ".join(process.cmdline())
        return DECODER_MARK in command and "spawn_main" in command
    return False


def _peak(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0

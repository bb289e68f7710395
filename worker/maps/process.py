"""The process that lays out the vectors of one map, as a worker sees it.

t-SNE takes both processors for seconds or minutes, and memory that Python does not give back. In a process of its own
it delays no lease and no heartbeat of the worker, its priority is low, and it can be stopped at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

import numpy as np
from numpy.typing import NDArray

from core.errors import LayoutFailed
from core.maps import SEED
from core.settings import PROJECT
from worker.maps.layout import DONE


class LayoutProcess:
    """A running process for the layout of `rows` vectors of `length` values. Leaving the `with` block kills it."""

    def __init__(self, rows: int, length: int, threads: int) -> None:
        self._rows = rows
        arguments = [str(number) for number in (rows, length, SEED, threads)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "worker.maps.layout", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=PROJECT,
            # By default the threads of OpenMP spin while they wait for each other. On busy processors a map of 350
            # pictures then takes 41 s instead of 3 s.
            env={**os.environ, "OMP_WAIT_POLICY": "passive"},
        )
        self._reader = threading.Thread(target=self._read, name="map-layout", daemon=True)
        self.progress = 0.0
        """The part of the work that is done, from 0 to 1."""
        self._result = b""

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def kill(self) -> None:
        """End the process. Any thread may do so."""
        self._process.kill()

    def send(self, blocks: Iterable[NDArray[np.float16]]) -> None:
        """Send the vectors, block by block. If the process has ended, `wait` says so.

        Raises:
            LayoutFailed: there are other vectors than `rows`.
        """
        assert self._process.stdin is not None
        sent = 0
        with suppress(BrokenPipeError):
            for block in blocks:
                self._process.stdin.write(np.ascontiguousarray(block, "<f2").data)
                sent += len(block)
            self._process.stdin.flush()
            if sent != self._rows:
                raise LayoutFailed(f"expected {self._rows} vectors, got {sent}: the items of the job were removed")

    def wait(self, seconds: float) -> bool:
        """Wait up to so many seconds for the end of the process. Return whether it has ended."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self._reader.join()
        return True

    def places(self) -> NDArray[np.uint16]:
        """Return the places that the process has written before its end: uint16 [rows, 2].

        Raises:
            LayoutFailed: it has ended without them.
        """
        code = self._process.returncode
        if code:
            how = f"ended with {code}" if code > 0 else f"was killed (signal {-code})"
            raise LayoutFailed(f"the process for the layout {how}")
        return np.frombuffer(self._result, "<u2").reshape(-1, 2)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line == DONE:
                self._result = self._process.stdout.read()
                return
            self.progress = float(line)

"""Run one worker process per GPU. This was never tried on a GPU: the tests start the processes on a CPU."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from cli.output import SafeConsole
from cli.supervisor import Child, Supervisor
from core.settings import Settings


def run_one_per_gpu(settings: Settings, gpus: Sequence[str], arguments: Sequence[str]) -> None:
    """Run a `lookbook worker` with `arguments` for each GPU until SIGINT or SIGTERM comes.

    Each worker sees only its own GPU (CUDA_VISIBLE_DEVICES) and writes to `worker-gpu<number>.log` in the log folder.
    """
    console = SafeConsole(stderr=True, highlight=False)
    logs = settings.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    supervisor = Supervisor(logs, dict(os.environ), console, settings.log_bytes)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: supervisor.ask_to_stop())
    command = [sys.executable, "-m", "cli", "worker", *arguments]
    for gpu in gpus:
        supervisor.start(Child(f"worker-gpu{gpu}", command, environment={"CUDA_VISIBLE_DEVICES": gpu}))
        console.print(f"worker for GPU {gpu}, log {logs / f'worker-gpu{gpu}.log'}")
    try:
        supervisor.watch()
    finally:
        supervisor.stop()

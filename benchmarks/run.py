"""The common parts of all benchmarks: statistics, and the files in results/ that hold the figures."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

import psutil
from rich.progress import Progress

RESULTS = Path(__file__).parent / "results"

Run = Callable[[Progress], dict[str, Any]]
"""A benchmark: a function that shows its progress and returns figures."""


class Spread(TypedDict):
    """Median, lowest and highest value of several measurements, and their number."""

    median: float
    lowest: float
    highest: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Return median, lowest and highest of several measurements of the same thing."""
    return Spread(median=statistics.median(values), lowest=min(values), highest=max(values), count=len(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that is not exceeded by this share of the values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine and the software of a measurement."""

    name: str
    software: str

    @classmethod
    def here(cls) -> Machine:
        packages = ("openvino", "tensorflow", "keras", "pillow")
        versions = ", ".join(f"{package} {version(package)}" for package in packages)
        memory = psutil.virtual_memory().total / 2**30
        return cls(
            f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {_gpus()}, {platform.system()}",
            f"Python {platform.python_version()}, {versions}",
        )


def write(name: str, figures: dict[str, Any]) -> None:
    """Store a benchmark's figures, with the machine and the software that gave them."""
    here = Machine.here()
    kept = {"machine": here.name, "software": here.software, **figures}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


def read(name: str) -> dict[str, Any] | None:
    """Return the stored figures of a benchmark, or None if it has never run."""
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else None


def _gpus() -> str:
    """Return the NVIDIA GPUs of this machine with driver and memory, or "no GPU"."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return "no GPU"
    found = [[part.strip() for part in line.split(",")] for line in lines if line.strip()]
    return ", ".join(f"{name} (driver {driver}, {memory})" for name, driver, memory in found) or "no GPU"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

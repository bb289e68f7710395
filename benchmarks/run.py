"""What a benchmark is: something that runs for a while, shows its progress, and gives figures."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

import psutil
from rich.progress import Progress

RESULTS = Path(__file__).parent / "results"

Run = Callable[[Progress], dict[str, Any]]


class Spread(TypedDict):
    """The median of several measurements, the lowest and the highest."""

    median: float
    lowest: float
    highest: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """What is reported of several measurements of one thing."""
    return Spread(median=statistics.median(values), lowest=min(values), highest=max(values), count=len(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured."""

    name: str
    software: str

    @classmethod
    def here(cls) -> Machine:
        packages = ("openvino", "tensorflow", "keras", "pillow")
        versions = ", ".join(f"{package} {version(package)}" for package in packages)
        memory = psutil.virtual_memory().total / 2**30
        return cls(
            f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, no GPU, {platform.system()}",
            f"Python {platform.python_version()}, {versions}",
        )


def write(name: str, figures: dict[str, Any]) -> None:
    """Keep a benchmark's figures, with the machine that they are of."""
    here = Machine.here()
    kept = {"machine": here.name, "software": here.software, **figures}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


def read(name: str) -> dict[str, Any] | None:
    """The figures that a benchmark left, None if it never ran."""
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

"""The findings about a GPU, and how they are printed as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Predicted:
    """A runtime in one precision and batch size, on prepared pixels in memory."""

    runtime: str
    precision: str
    batch_size: int
    prepared: bool
    """Whether the service uses this runtime, precision and batch size."""
    milliseconds: float
    rate: float
    megabytes: float | None
    """The most memory that it took on the GPU, or None without a GPU."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pictures per second that are decoded, by long side in pixels."""

    size: int
    one_core: float
    all_cores: float


@dataclass(frozen=True, slots=True)
class Answered:
    """Pictures per second from bytes to scores, by long side in pixels."""

    size: int
    bare: float
    service: float


@dataclass(frozen=True, slots=True)
class Findings:
    """All that `python -m benchmarks gpu` measures."""

    machine: str
    software: str
    model: str
    has_gpu: bool
    service_device: str
    """Runtime, device and precision of the worker."""
    predicted: Sequence[Predicted]
    skipped: Sequence[str]
    """The runtimes that were not measured."""
    agreement: tuple[int, int, float]
    """Top labels that agree with OpenVINO in f32, pictures, and the largest difference of two scores."""
    decoded: Sequence[Decoded]
    cores: int
    answered: Sequence[Answered]

    def best(self) -> float:
        """Return the highest rate of the batch sizes that the service uses."""
        return max(row.rate for row in self.predicted if row.prepared)

    def cores_to_feed(self, decoded: Decoded) -> int:
        """Return how many cores decode as many pictures as the device predicts."""
        return math.ceil(self.best() / (decoded.all_cores / self.cores))


def to_markdown(found: Findings, now: datetime | None = None) -> str:
    """Return the section for docs/capacity.md."""
    title = "Measured on a GPU" if found.has_gpu else "Measured without a GPU"
    no_gpu = "" if found.has_gpu else "**No GPU was found: the figures of TensorFlow are those of the CPU.**\n\n"
    same, pictures, difference = found.agreement
    skipped = f"\nNot measured: {'; '.join(found.skipped)}.\n" if found.skipped else ""
    return f"""## {title}

{no_gpu}{found.machine}; {found.software}. `{found.model}`, `python -m benchmarks gpu`, \
{now or datetime.now(UTC):%Y-%m-%d}.

**Predicting.** Prepared pixels in memory. The service uses the rows with a star.

{_predicted(found.predicted)}
{skipped}
{same} of {pictures} sample pictures have the same top label as in OpenVINO in f32. The largest difference of two \
scores is {difference:.4f}.

**Decoding against predicting.** The device predicts at most {found.best():,.0f} pictures a second in the service.

{_decoded(found)}

**The service against a bare loop.** Pictures a second, from bytes to scores. The bare loop is one process that \
decodes on {found.cores} cores, predicts meanwhile and stores nothing. The worker of the service: \
{found.service_device}.

{_answered(found.answered)}
"""


def _predicted(rows: Sequence[Predicted]) -> str:
    lines = [
        (
            f"{row.runtime}{' *' if row.prepared else ''}",
            row.precision,
            str(row.batch_size),
            f"{row.milliseconds:.1f}",
            f"{row.rate:,.0f}",
            "–" if row.megabytes is None else f"{row.megabytes:,.0f}",
        )
        for row in rows
    ]
    return _table(("runtime", "precision", "batch size", "ms a batch", "pictures/s", "MB on the GPU"), lines)


def _decoded(found: Findings) -> str:
    lines = [
        (f"{row.size} px", f"{row.one_core:,.0f}", f"{row.all_cores:,.0f}", str(found.cores_to_feed(row)))
        for row in found.decoded
    ]
    head = ("pictures", "decoded/s, one core", f"decoded/s, {found.cores} cores", "cores that keep the device busy")
    return _table(head, lines)


def _answered(rows: Sequence[Answered]) -> str:
    lines = [
        (f"{row.size} px", f"{row.bare:,.0f}", f"{row.service:,.0f}", f"{row.service / row.bare:.2f}") for row in rows
    ]
    return _table(("pictures", "bare loop", "service", "ratio"), lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))

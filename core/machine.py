"""The processors and the memory that this process may use: what the machine has, less what its container may take.

A container sees all processors and all memory of its host. Its limits are in its control groups (cgroups), in files of
the kernel: https://docs.kernel.org/admin-guide/cgroup-v2.html and …/cgroup-v1/. A limit of any group above applies too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")

WORKER_MEGABYTES = 1024
"""Memory of a worker without its decoders, in MiB: its model, its threads and the pictures that wait for the device."""

_MAX_LIMIT = 2**60
"""cgroup v1 reports a memory limit of almost 2**63 bytes where there is none."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The processor time and the memory that a process may use."""

    cores: int
    """Processors on which the kernel may run this process (its affinity)."""
    quota: float | None
    """Processor time per time that the cgroups allow, in cores. None: no limit."""
    memory: int
    """Bytes of memory: of the machine, or the limit of the cgroups if it is lower."""
    memory_limited: bool
    """Whether `memory` is a limit of the cgroups."""

    @classmethod
    def here(cls, cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> Machine:
        """Return what this process may use. The two paths are those of the kernel, except in tests."""
        groups = list(_groups(cgroups, membership))
        quotas = [quota for group in groups if (quota := _quota(group)) is not None]
        limits = [limit for group in groups if (limit := _memory_limit(group)) is not None]
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        memory = min([physical, *limits])
        return cls(_affinity(), min(quotas, default=None), memory, memory < physical)

    @property
    def processors(self) -> int:
        """Return how many processes or threads can compute at the same time. A part of a core counts as one."""
        return max(1, min(self.cores, math.ceil(self.quota or self.cores)))

    def decoders(self, decode_megabytes: int) -> int:
        """Return how many decoders a worker starts: one for each processor, as far as the memory suffices for them."""
        room = self.memory // 2**20 - WORKER_MEGABYTES
        return max(1, min(self.processors, room // decode_megabytes))

    def __str__(self) -> str:
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        quota = "" if self.quota is None else f", of which the container may use {self.quota:g}"
        memory = f"{self.memory / 2**30:.1f} GiB" + (" (limit of the container)" if self.memory_limited else "")
        return f"{cores}{quota}, {memory}"


def _affinity() -> int:
    # Only Linux has affinities.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _groups(cgroups: Path, membership: Path) -> Iterator[Path]:
    """Yield the folders of the groups of this process and of all groups above them."""
    try:
        lines = membership.read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        # Version 2 has one hierarchy without a list of controllers, and version 1 has a folder for each list.
        roots = [cgroups, cgroups / "unified"] if not controllers else [cgroups / controllers]
        for root in roots:
            # Inside a container, the path is often that of the host. The group itself is then the root.
            group = root / path.lstrip("/")
            yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(root))


def _quota(group: Path) -> float | None:
    if (words := _read(group / "cpu.max")) is not None:
        quota, _, period = words.partition(" ")
        return None if quota == "max" else int(quota) / int(period)
    quota_v1, period_v1 = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
    if quota_v1 is None or period_v1 is None or int(quota_v1) <= 0:
        return None
    return int(quota_v1) / int(period_v1)


def _memory_limit(group: Path) -> int | None:
    text = _read(group / "memory.max") or _read(group / "memory.limit_in_bytes")
    if text is None or text == "max":
        return None
    return int(text) if int(text) < _MAX_LIMIT else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text("ascii").strip()
    except OSError:
        return None

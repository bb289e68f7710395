"""The processors and the memory that a process may use follow its affinity and its control groups."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from core.machine import CGROUPS, WORKER_MEGABYTES, Machine
from core.settings import PROJECT, Settings

GIB = 2**30
UNLIMITED_V1 = "9223372036854771712"
PRINT = "from core.machine import Machine; from core.settings import Settings; m = Machine.here(); "
PRINT += "print(m.cores, m.quota, m.memory, Settings().decoders)"


def machine(folder: Path, membership: str, files: dict[str, str]) -> Machine:
    """Return the machine of a process with these control groups."""
    for name, text in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (folder / "membership").write_text(membership)
    return Machine.here(folder / "cgroup", folder / "membership")


def test_without_control_groups_a_process_may_use_the_whole_machine(tmp_path: Path) -> None:
    found = Machine.here(tmp_path, tmp_path / "missing")
    assert (found.cores, found.quota, found.memory_limited) == (len(os.sched_getaffinity(0)), None, False)
    assert found.memory == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_version_2_limits_processors_and_memory(tmp_path: Path) -> None:
    found = machine(tmp_path, "0::/\n", {"cpu.max": "50000 100000", "memory.max": str(GIB)})
    assert (found.quota, found.processors, found.memory, found.memory_limited) == (0.5, 1, GIB, True)
    assert "of which the container may use 0.5, 1.0 GiB (limit of the container)" in str(found)


def test_version_2_without_limits_limits_nothing(tmp_path: Path) -> None:
    found = machine(tmp_path, "0::/app\n", {"app/cpu.max": "max 100000", "app/memory.max": "max"})
    assert (found.quota, found.memory_limited) == (None, False)


def test_the_lowest_limit_of_a_group_and_those_above_counts(tmp_path: Path) -> None:
    files = {"pod/cpu.max": "150000 100000", "pod/app/cpu.max": "max 100000", "pod/memory.max": str(2 * GIB)}
    found = machine(tmp_path, "0::/pod/app\n", files | {"pod/app/memory.max": str(3 * GIB)})
    assert (found.quota, found.memory) == (1.5, 2 * GIB)


def test_version_1_limits_processors_and_memory(tmp_path: Path) -> None:
    limits = {"cpu,cpuacct/app/cpu.cfs_quota_us": "100000", "cpu,cpuacct/app/cpu.cfs_period_us": "100000"}
    found = machine(
        tmp_path, "4:memory:/app\n1:cpu,cpuacct:/app\n", limits | {"memory/app/memory.limit_in_bytes": str(GIB)}
    )
    assert (found.quota, found.memory) == (1.0, GIB)


def test_version_1_without_limits_limits_nothing(tmp_path: Path) -> None:
    files = {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000", "memory/memory.limit_in_bytes": ""}
    found = machine(tmp_path, "4:memory:/\n1:cpu:/\n", files | {"memory/memory.limit_in_bytes": UNLIMITED_V1})
    assert (found.quota, found.memory_limited) == (None, False)


def test_a_path_of_the_host_that_the_container_does_not_see_means_the_root(tmp_path: Path) -> None:
    found = machine(tmp_path, "4:memory:/docker/0123abcd\n", {"memory/memory.limit_in_bytes": str(GIB)})
    assert found.memory == GIB


def test_a_worker_starts_one_decoder_for_each_processor_as_far_as_the_memory_suffices() -> None:
    plenty = Machine(cores=16, quota=None, memory=64 * GIB, memory_limited=False)
    assert plenty.decoders(512) == 16
    assert Machine(16, 3.2, 64 * GIB, memory_limited=False).decoders(512) == 4
    assert Machine(16, None, (WORKER_MEGABYTES + 5 * 512) * 2**20, memory_limited=True).decoders(512) == 5
    assert Machine(16, None, GIB, memory_limited=True).decoders(512) == 1


def test_a_process_that_is_bound_to_one_core_has_one_decoder() -> None:
    if shutil.which("taskset") is None:
        pytest.skip("taskset (util-linux) is not installed")
    core = min(os.sched_getaffinity(0))
    assert printed(["taskset", "-c", str(core), sys.executable, "-c", PRINT])[0] == "1"
    assert printed(["taskset", "-c", str(core), sys.executable, "-c", PRINT])[3] == "1"


@pytest.fixture
def groups() -> Iterator[dict[str, Path]]:
    """A real control group of version 1 for processors and one for memory, which allow half a core and 1.5 GiB."""
    made = {name: CGROUPS / name / f"lookbook-{uuid4().hex}" for name in ("cpu", "memory")}
    try:
        for path in made.values():
            path.mkdir()
        (made["cpu"] / "cpu.cfs_quota_us").write_text("50000")
        (made["memory"] / "memory.limit_in_bytes").write_text(str(GIB * 3 // 2))
    except OSError as error:
        pytest.skip(f"no control group of version 1 can be made here: {error}")
    yield made
    for path in made.values():
        path.rmdir()


def test_a_process_in_a_real_control_group_has_its_limits(groups: dict[str, Path]) -> None:
    joins = "".join(f"echo $$ > {path}/cgroup.procs; " for path in groups.values())
    found = printed(["sh", "-c", f'{joins}exec "$@"', "sh", sys.executable, "-c", PRINT])
    assert found[1:] == ["0.5", str(GIB * 3 // 2), "1"]


def printed(command: list[str]) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()


def test_the_default_number_of_decoders_is_that_of_this_machine() -> None:
    assert Settings().decoders == Machine.here().decoders(512)
    assert Settings(decode_megabytes=100_000).decoders == 1

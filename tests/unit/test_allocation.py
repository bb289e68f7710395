from __future__ import annotations

import subprocess
import sys

from core.settings import PROJECT

MIB = 2**20
COUNT_FAULTS = """
import resource
from core.allocation import keep_freed_memory

def allocate_and_free() -> None:
    # The smaller block lies above the larger one, so the freed memory reaches up to the top of the heap.
    larger = bytearray({size})
    smaller = bytearray({size} // 2)

assert keep_freed_memory(8 * 2**20, 2 * 2**20)
allocate_and_free()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    allocate_and_free()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 50)
"""


def faults(size: int) -> int:
    """Return the page faults of a process per allocation of `size` bytes and of half of them, freed each time."""
    command = [sys.executable, "-c", COUNT_FAULTS.format(size=size)]
    return int(subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout)


def test_freed_memory_is_used_again_without_a_page_fault() -> None:
    assert faults(MIB) == 0


def test_larger_blocks_go_back_to_the_kernel_at_once() -> None:
    # The kernel may give pages of any size, so only the fact that there are faults is certain.
    assert faults(16 * MIB) > 0


def test_the_garbage_collector_ignores_objects_from_the_start_of_a_process() -> None:
    script = "import gc; from core.allocation import freeze_heap; freeze_heap(); print(len(gc.get_objects()))"
    answer = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert int(answer.stdout) < 100

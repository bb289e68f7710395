from __future__ import annotations

import subprocess
import sys

from core.settings import PROJECT

MIB = 2**20
FAULTS = """
import resource
from core.allocation import keep_freed_memory

def again() -> None:
    # The smaller one lies above the larger one: both are free at the end, and at the heap's top.
    one = bytearray({size})
    two = bytearray({size} // 2)

assert keep_freed_memory(8 * 2**20, 2 * 2**20)
again()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    again()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 50)
"""


def faults(size: int) -> int:
    """Page faults of a process each time that it allocates and frees so many bytes, and half as many."""
    command = [sys.executable, "-c", FAULTS.format(size=size)]
    return int(subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout)


def test_memory_that_was_freed_is_used_again_without_a_fault() -> None:
    assert faults(MIB) == 0


def test_what_is_larger_goes_back_at_once() -> None:
    # Each of its pages is new every time, in whatever size the kernel gives them.
    assert faults(16 * MIB) > 0


def test_what_a_process_has_set_up_is_no_work_for_the_garbage_collector() -> None:
    script = "import gc; from core.allocation import freeze_heap; freeze_heap(); print(len(gc.get_objects()))"
    answer = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert int(answer.stdout) < 100

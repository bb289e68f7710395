from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.fair_queue import FairQueue


def drain(queue: FairQueue[str], now: float) -> list[str]:
    popped = []
    while (element := queue.pop(now)) is not None:
        popped.append(element)
    return popped


def test_interactive_work_comes_first_and_jobs_take_turns() -> None:
    queue: FairQueue[str] = FairQueue()
    for n in range(3):
        queue.push(f"big{n}", "big", n, interactive=False)
    for n in range(2):
        queue.push(f"small{n}", "small", 10 + n, interactive=False)
    queue.push("urgent", "one", 20, interactive=True)
    assert queue.oldest() == 0
    assert len(queue) == 6
    now = 1.0
    assert drain(queue, now) == ["urgent", "big0", "small0", "big1", "small1", "big2"]
    assert (len(queue), queue.oldest(), queue.pop(now)) == (0, None, None)


def test_bulk_work_that_has_waited_too_long_gets_every_second_turn() -> None:
    queue: FairQueue[str] = FairQueue(ageing_seconds=5)
    for n in range(3):
        queue.push(f"bulk{n}", "job", 0, interactive=False)
        queue.push(f"urgent{n}", "one", 8, interactive=True)
    assert queue.pop(4) == "urgent0"
    assert [queue.pop(9) for _ in range(5)] == ["bulk0", "urgent1", "bulk1", "urgent2", "bulk2"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40))
def test_each_element_comes_out_once_and_each_job_keeps_its_order(pushed: list[tuple[str, bool]]) -> None:
    queue: FairQueue[tuple[int, str, bool]] = FairQueue()
    for n, (job, interactive) in enumerate(pushed):
        queue.push((n, job, interactive), job, float(n), interactive=interactive)
    popped = []
    while (element := queue.pop(0.0)) is not None:
        popped.append(element)
    assert sorted(popped) == [(n, job, interactive) for n, (job, interactive) in enumerate(pushed)]
    assert [entry[2] for entry in popped] == sorted((entry[2] for entry in popped), reverse=True)
    for job in "abc":
        mine = [n for n, owner, interactive in popped if owner == job and not interactive]
        assert mine == sorted(mine)

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from tests.conftest import until
from worker.leases import SharedExclusiveLock


def hold(
    lock: SharedExclusiveLock, pool: ThreadPoolExecutor, *, exclusive: bool
) -> tuple[threading.Event, threading.Event, Future[None]]:
    """Hold the lock in a thread.

    Return an event that is set when the thread holds the lock, an event that the test sets to release it, and the
    future of the thread.
    """
    inside, leave = threading.Event(), threading.Event()

    def hold_until_released() -> None:
        with lock.holding(exclusive=exclusive):
            inside.set()
            assert leave.wait(10)

    return inside, leave, pool.submit(hold_until_released)


def test_any_number_of_threads_hold_the_lock_in_shared_mode() -> None:
    lock = SharedExclusiveLock()
    with ThreadPoolExecutor() as pool:
        guests = [hold(lock, pool, exclusive=False) for _ in range(3)]
        assert all(inside.wait(10) for inside, _, _ in guests)
        for _, leave, done in guests:
            leave.set()
            done.result(10)


def test_an_exclusive_holder_waits_for_current_holders_and_precedes_later_ones() -> None:
    lock, order = SharedExclusiveLock(), []
    with ThreadPoolExecutor() as pool:
        first_inside, first_leave, first = hold(lock, pool, exclusive=False)
        assert first_inside.wait(10)
        alone_inside, alone_leave, alone = hold(lock, pool, exclusive=True)
        until(lambda: lock.waiting_for_exclusive == 1, 10)
        late_inside, late_leave, late = hold(lock, pool, exclusive=False)
        assert not alone_inside.is_set()
        first_leave.set()
        first.result(10)
        assert alone_inside.wait(10)
        order.append(late_inside.is_set())
        alone_leave.set()
        alone.result(10)
        assert late_inside.wait(10)
        late_leave.set()
        late.result(10)
    assert order == [False]

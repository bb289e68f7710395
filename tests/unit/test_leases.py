from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from tests.conftest import until
from worker.leases import Gate


def enter(
    gate: Gate, pool: ThreadPoolExecutor, *, alone: bool
) -> tuple[threading.Event, threading.Event, Future[None]]:
    """(it is inside, let it out, its end) of somebody who passes the gate in a thread of their own."""
    inside, leave = threading.Event(), threading.Event()

    def pass_through() -> None:
        with gate.passing(alone=alone):
            inside.set()
            assert leave.wait(10)

    return inside, leave, pool.submit(pass_through)


def test_any_number_pass_the_gate_together() -> None:
    gate = Gate()
    with ThreadPoolExecutor() as pool:
        guests = [enter(gate, pool, alone=False) for _ in range(3)]
        assert all(inside.wait(10) for inside, _, _ in guests)
        for _, leave, done in guests:
            leave.set()
            done.result(10)


def test_who_must_be_alone_waits_for_the_others_and_goes_before_those_who_come_later() -> None:
    gate, order = Gate(), []
    with ThreadPoolExecutor() as pool:
        first_inside, first_leave, first = enter(gate, pool, alone=False)
        assert first_inside.wait(10)
        alone_inside, alone_leave, alone = enter(gate, pool, alone=True)
        until(lambda: gate.wanting == 1, 10)
        late_inside, late_leave, late = enter(gate, pool, alone=False)
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

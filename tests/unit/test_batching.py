from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.predicting.decisions import WINDOW_SECONDS, Arrivals, CostModel, Launch, Wait, decide

GPU_SIZES = (1, 8, 32, 128)


def line(per_picture: float, per_batch: float, sizes: tuple[int, ...]) -> CostModel:
    costs = CostModel()
    for size in sizes:
        costs.observe(size, per_picture * size + per_batch)
    return costs


@given(st.floats(1e-5, 1e-1), st.floats(0, 1e-1))
def test_the_line_is_found_again_in_the_measurements(per_picture: float, per_batch: float) -> None:
    slope, fixed = line(per_picture, per_batch, GPU_SIZES).line()
    assert slope == pytest.approx(per_picture, rel=1e-3)
    assert fixed == pytest.approx(per_batch, rel=1e-3, abs=1e-6)


def test_the_cost_follows_what_was_measured_last() -> None:
    costs = line(0.001, 0.005, (1, 8))
    for _ in range(60):
        costs.observe(1, 0.012)
        costs.observe(8, 0.026)
    assert costs.seconds(1) == pytest.approx(0.012, rel=0.05)
    assert costs.seconds(8) == pytest.approx(0.026, rel=0.05)


def test_a_device_without_cost_per_batch_gets_pictures_one_by_one_at_once() -> None:
    costs = line(0.007, 0.0, (1, 8))
    costs.observe(8, 8 * 0.0075)
    assert decide(5, (1, 8), costs, 0.001, opened=0, now=0) == Launch(1, 1)
    assert decide(20, (1, 8), costs, 0.001, opened=0, now=0) == Launch(1, 1)


def test_a_device_with_cost_per_batch_waits_while_pictures_come_fast_enough() -> None:
    costs = line(0.0001, 0.010, GPU_SIZES)
    assert decide(3, GPU_SIZES, costs, 0.001, opened=0, now=0.002) == Wait(WINDOW_SECONDS - 0.002)
    assert decide(3, GPU_SIZES, costs, 0.050, opened=0, now=0.002) == Launch(8, 3)
    assert decide(3, GPU_SIZES, costs, math.inf, opened=0, now=0.002) == Launch(8, 3)


def test_whoever_is_in_a_hurry_waits_only_for_what_saves_more_than_the_wait() -> None:
    costs = line(0.001, 0.004, GPU_SIZES)
    # A picture more in the same batch saves one of its own, 5 ms.
    assert decide(3, GPU_SIZES, costs, 0.004, opened=0, now=0.002, hurried=3) == Wait(0.004)
    assert decide(3, GPU_SIZES, costs, 0.006, opened=0, now=0.002, hurried=3) == Launch(8, 3)
    assert isinstance(decide(3, GPU_SIZES, costs, 0.006, opened=0, now=0.002), Wait)


def test_a_window_closes_when_the_batch_is_full_or_its_time_is_over() -> None:
    costs = line(0.0001, 0.010, GPU_SIZES)
    assert decide(128, GPU_SIZES, costs, 0.0001, opened=0, now=0) == Launch(128, 128)
    assert decide(500, GPU_SIZES, costs, 0.0001, opened=0, now=0) == Launch(128, 128)
    assert isinstance(decide(100, GPU_SIZES, costs, 0.0001, opened=0, now=WINDOW_SECONDS - 0.001), Wait)
    assert decide(100, GPU_SIZES, costs, 0.0001, opened=0, now=WINDOW_SECONDS) == Launch(128, 100)


def test_padding_is_not_paid_for_when_fewer_pictures_cost_less_apart() -> None:
    # Nine pictures: 8 + 1 cost 0.009, 32 slots would cost 0.032.
    assert decide(9, GPU_SIZES, line(0.001, 0.0, GPU_SIZES), math.inf, opened=0, now=0).pictures in (1, 8)


def test_bulk_fills_the_room_of_a_hurried_batch_but_does_not_enlarge_it() -> None:
    costs = line(0.001, 0.004, GPU_SIZES)
    assert decide(50, GPU_SIZES, costs, math.inf, opened=0, now=0, hurried=1) == Launch(1, 1)
    assert decide(50, GPU_SIZES, costs, math.inf, opened=0, now=0, hurried=5) == Launch(8, 8)
    assert decide(30, GPU_SIZES, costs, math.inf, opened=0, now=0) == Launch(32, 30)


def test_a_hurried_batch_is_larger_where_that_takes_hardly_longer() -> None:
    costs = line(0.0001, 0.010, GPU_SIZES)
    assert decide(50, GPU_SIZES, costs, math.inf, opened=0, now=0, hurried=1) == Launch(8, 8)
    assert decide(2, GPU_SIZES, costs, math.inf, opened=0, now=0, hurried=1) == Launch(1, 1)
    costs = line(0.00001, 0.010, GPU_SIZES)
    assert decide(50, GPU_SIZES, costs, math.inf, opened=0, now=0, hurried=1) == Launch(32, 32)


@given(
    st.integers(1, 300),
    st.floats(1e-5, 1e-1),
    st.floats(0, 1e-1),
    st.floats(1e-6, 1.0),
    st.floats(0, 2 * WINDOW_SECONDS),
    st.integers(0, 300),
)
def test_a_decision_is_always_possible_to_carry_out(
    waiting: int, per_picture: float, per_batch: float, interval: float, now: float, hurried: int
) -> None:
    costs = line(per_picture, per_batch, GPU_SIZES)
    step = decide(waiting, GPU_SIZES, costs, interval, opened=0, now=now, hurried=min(hurried, waiting))
    if isinstance(step, Wait):
        assert 0 < step.seconds <= WINDOW_SECONDS - now
        assert waiting < GPU_SIZES[-1]
    else:
        assert step.size in GPU_SIZES
        assert step.pictures == min(step.size, waiting)


def test_arrivals_are_expected_as_they_came_and_later_after_a_silence() -> None:
    arrivals = Arrivals()
    assert math.isinf(arrivals.interval(0))
    arrivals.observe(0)
    assert math.isinf(arrivals.interval(1))
    for n in range(1, 50):
        arrivals.observe(n * 0.01)
    assert arrivals.interval(0.49) == pytest.approx(0.01)
    assert arrivals.interval(2.49) == pytest.approx(2.0)

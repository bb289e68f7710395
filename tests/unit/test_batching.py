from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.predicting.decisions import (
    BATCH_WINDOW_SECONDS,
    ArrivalEstimate,
    CostModel,
    LaunchBatch,
    WaitForMore,
    decide_batch_size,
)

GPU_SIZES = (1, 8, 32, 128)


def line(per_picture: float, per_batch: float, sizes: tuple[int, ...]) -> CostModel:
    costs = CostModel()
    for size in sizes:
        costs.observe(size, per_picture * size + per_batch)
    return costs


@given(st.floats(1e-5, 1e-1), st.floats(0, 1e-1))
def test_the_cost_model_recovers_the_line_behind_the_measurements(per_picture: float, per_batch: float) -> None:
    slope, fixed = line(per_picture, per_batch, GPU_SIZES).line()
    assert slope == pytest.approx(per_picture, rel=1e-3)
    assert fixed == pytest.approx(per_batch, rel=1e-3, abs=1e-6)


def test_the_cost_model_follows_the_latest_measurements() -> None:
    costs = line(0.001, 0.005, (1, 8))
    for _ in range(60):
        costs.observe(1, 0.012)
        costs.observe(8, 0.026)
    assert costs.seconds(1) == pytest.approx(0.012, rel=0.05)
    assert costs.seconds(8) == pytest.approx(0.026, rel=0.05)


def test_a_device_without_cost_per_batch_gets_single_pictures_at_once() -> None:
    costs = line(0.007, 0.0, (1, 8))
    costs.observe(8, 8 * 0.0075)
    assert decide_batch_size(5, (1, 8), costs, 0.001, window_opened=0, now=0) == LaunchBatch(1, 1)
    assert decide_batch_size(20, (1, 8), costs, 0.001, window_opened=0, now=0) == LaunchBatch(1, 1)


def test_a_device_with_cost_per_batch_waits_while_pictures_arrive_fast_enough() -> None:
    costs = line(0.0001, 0.010, GPU_SIZES)
    assert decide_batch_size(3, GPU_SIZES, costs, 0.001, window_opened=0, now=0.002) == WaitForMore(
        BATCH_WINDOW_SECONDS - 0.002
    )
    assert decide_batch_size(3, GPU_SIZES, costs, 0.050, window_opened=0, now=0.002) == LaunchBatch(8, 3)
    assert decide_batch_size(3, GPU_SIZES, costs, math.inf, window_opened=0, now=0.002) == LaunchBatch(8, 3)


def test_interactive_pictures_wait_only_if_that_saves_more_time_than_it_costs() -> None:
    costs = line(0.001, 0.004, GPU_SIZES)
    # One more picture in this batch saves a batch of its own, which costs 5 ms.
    assert decide_batch_size(3, GPU_SIZES, costs, 0.004, window_opened=0, now=0.002, interactive=3) == WaitForMore(
        0.004
    )
    assert decide_batch_size(3, GPU_SIZES, costs, 0.006, window_opened=0, now=0.002, interactive=3) == LaunchBatch(8, 3)
    assert isinstance(decide_batch_size(3, GPU_SIZES, costs, 0.006, window_opened=0, now=0.002), WaitForMore)


def test_the_window_closes_when_the_batch_is_full_or_the_time_is_over() -> None:
    costs = line(0.0001, 0.010, GPU_SIZES)
    assert decide_batch_size(128, GPU_SIZES, costs, 0.0001, window_opened=0, now=0) == LaunchBatch(128, 128)
    assert decide_batch_size(500, GPU_SIZES, costs, 0.0001, window_opened=0, now=0) == LaunchBatch(128, 128)
    assert isinstance(
        decide_batch_size(100, GPU_SIZES, costs, 0.0001, window_opened=0, now=BATCH_WINDOW_SECONDS - 0.001), WaitForMore
    )
    assert decide_batch_size(100, GPU_SIZES, costs, 0.0001, window_opened=0, now=BATCH_WINDOW_SECONDS) == LaunchBatch(
        128, 100
    )


def test_a_batch_is_not_padded_if_smaller_batches_cost_less() -> None:
    # Nine pictures cost 0.009 s as batches of 8 and 1, and 0.032 s as one padded batch of 32.
    decision = decide_batch_size(9, GPU_SIZES, line(0.001, 0.0, GPU_SIZES), math.inf, window_opened=0, now=0)
    assert isinstance(decision, LaunchBatch)
    assert decision.pictures in (1, 8)


def test_bulk_pictures_fill_an_interactive_batch_but_do_not_enlarge_it() -> None:
    costs = line(0.001, 0.004, GPU_SIZES)
    assert decide_batch_size(50, GPU_SIZES, costs, math.inf, window_opened=0, now=0, interactive=1) == LaunchBatch(1, 1)
    assert decide_batch_size(50, GPU_SIZES, costs, math.inf, window_opened=0, now=0, interactive=5) == LaunchBatch(8, 8)
    assert decide_batch_size(30, GPU_SIZES, costs, math.inf, window_opened=0, now=0) == LaunchBatch(32, 30)


def test_an_interactive_batch_is_larger_if_that_takes_hardly_longer() -> None:
    costs = line(0.0001, 0.010, GPU_SIZES)
    assert decide_batch_size(50, GPU_SIZES, costs, math.inf, window_opened=0, now=0, interactive=1) == LaunchBatch(8, 8)
    assert decide_batch_size(2, GPU_SIZES, costs, math.inf, window_opened=0, now=0, interactive=1) == LaunchBatch(1, 1)
    costs = line(0.00001, 0.010, GPU_SIZES)
    assert decide_batch_size(50, GPU_SIZES, costs, math.inf, window_opened=0, now=0, interactive=1) == LaunchBatch(
        32, 32
    )


@given(
    st.integers(1, 300),
    st.floats(1e-5, 1e-1),
    st.floats(0, 1e-1),
    st.floats(1e-6, 1.0),
    st.floats(0, 2 * BATCH_WINDOW_SECONDS),
    st.integers(0, 300),
)
def test_every_decision_can_be_carried_out(
    waiting: int, per_picture: float, per_batch: float, seconds_to_next: float, now: float, interactive: int
) -> None:
    costs = line(per_picture, per_batch, GPU_SIZES)
    decision = decide_batch_size(
        waiting, GPU_SIZES, costs, seconds_to_next, window_opened=0, now=now, interactive=min(interactive, waiting)
    )
    if isinstance(decision, WaitForMore):
        assert 0 < decision.seconds <= BATCH_WINDOW_SECONDS - now
        assert waiting < GPU_SIZES[-1]
    else:
        assert decision.size in GPU_SIZES
        assert decision.pictures == min(decision.size, waiting)


def test_the_next_arrival_is_expected_at_the_usual_interval_or_later_after_a_silence() -> None:
    arrivals = ArrivalEstimate()
    assert math.isinf(arrivals.seconds_to_next(0))
    arrivals.observe(0)
    assert math.isinf(arrivals.seconds_to_next(1))
    for n in range(1, 50):
        arrivals.observe(n * 0.01)
    assert arrivals.seconds_to_next(0.49) == pytest.approx(0.01)
    assert arrivals.seconds_to_next(2.49) == pytest.approx(2.0)

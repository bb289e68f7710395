from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import BlobMissing
from core.item_errors import TruncatedImage
from core.types import ModelRef
from db.steps.recording import Outcome
from worker.stages.in_flight import PicturesInFlight, WorkSplit

MODEL = ModelRef("garments", "1")
A, B, C = ("a" * 64, ""), ("b" * 64, ""), ("c" * 64, "")


def test_a_chunk_waits_for_pictures_that_another_chunk_computes() -> None:
    in_flight = PicturesInFlight()
    with (
        ThreadPoolExecutor(1) as thread,
        in_flight.reserving(MODEL, [A, B]) as first,
        in_flight.reserving(MODEL, [B, C]) as second,
    ):
        assert set(first.to_compute) == {A, B}
        assert (set(second.to_compute), set(second.computed_elsewhere)) == ({C}, {B})
        waiting = thread.submit(second.computed_elsewhere[B].wait_for_outcome, B)
        outcome = Outcome(error=TruncatedImage("cut"))
        first.reservation.outcomes |= {A: Outcome(error=TruncatedImage()), B: outcome}
        assert not waiting.done()
        first.reservation.end()
        assert waiting.result() is outcome


def test_each_crop_and_each_model_is_computed_separately() -> None:
    in_flight = PicturesInFlight()
    newer = ModelRef("garments", "2")
    with (
        in_flight.reserving(MODEL, [A]) as first,
        in_flight.reserving(newer, [A]) as second,
        in_flight.reserving(MODEL, [(A[0], "0,0,5x5")]) as third,
    ):
        assert all(len(split.to_compute) == 1 for split in (first, second, third))


def test_waiting_chunks_get_the_error_of_the_computing_one_and_the_next_one_computes() -> None:
    in_flight = PicturesInFlight()
    found: list[WorkSplit] = []

    def fail_while_another_waits() -> None:
        with in_flight.reserving(MODEL, [A, B]) as first, in_flight.reserving(MODEL, [A, B]) as waiting:
            found.append(waiting)
            first.reservation.outcomes[B] = Outcome(error=TruncatedImage())
            raise BlobMissing("gone")

    with pytest.raises(BlobMissing):
        fail_while_another_waits()
    with pytest.raises(BlobMissing, match="gone"):
        found[0].computed_elsewhere[A].wait_for_outcome(A)
    # Outcomes from before the failure stay valid.
    assert found[0].computed_elsewhere[B].wait_for_outcome(B).error is not None
    with in_flight.reserving(MODEL, [A]) as again:
        assert set(again.to_compute) == {A}


def test_waiting_for_a_picture_that_was_left_out_raises_an_error() -> None:
    in_flight = PicturesInFlight()
    with in_flight.reserving(MODEL, [A]), in_flight.reserving(MODEL, [A]) as waiting:
        computed_elsewhere = waiting.computed_elsewhere
    with pytest.raises(RuntimeError, match="left it out"):
        computed_elsewhere[A].wait_for_outcome(A)

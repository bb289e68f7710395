"""Mutated inputs from hypothesis, for the suite: always the same ones, on every machine."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.judging import MAX_INPUT
from tests.fuzz.target import Target

_PLACE = st.integers(0, MAX_INPUT)
_LENGTH = st.integers(0, 40)


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Return a strategy of a target's seeds with up to eight changes: bytes replaced, inserted, repeated or cut."""
    put = st.sampled_from(target.tokens) | st.binary(max_size=4)
    change = st.tuples(_PLACE, _LENGTH, put, st.sampled_from([0, 1, 2, 30]))
    return st.builds(_changed, st.sampled_from(target.seeds), st.lists(change, max_size=8))


def _changed(seed: bytes, changes: list[tuple[int, int, bytes, int]]) -> bytes:
    data = seed
    for place, length, put, times in changes:
        at = place % (len(data) + 1)
        # The removed bytes come again, so that parts of the input are repeated.
        removed = data[at : at + length]
        data = data[:at] + put + removed * times + data[at + length :]
    return data[:MAX_INPUT]

"""Replays the findings of fuzzing, and gives each parser some mutated inputs. `make fuzz` gives it more."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.fuzz.judging import judge
from tests.fuzz.mutating import inputs
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS, findings_of

EXECUTIONS = {
    "manifest": 400,
    "archive": 400,
    "multipart": 400,
    "crop": 400,
    "recipe": 60,
    "robots": 400,
    "sitemap": 400,
    "page": 60,
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_no_earlier_finding_comes_again(target: Target) -> None:
    for seed in target.seeds:
        assert judge(target, seed) is None
    for path in findings_of(target):
        finding = judge(target, path.read_bytes())
        assert finding is None, f"{path.name}: {finding}"


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_mutated_inputs_are_read_or_refused(target: Target) -> None:
    @settings(max_examples=EXECUTIONS[target.name], derandomize=True, database=None, deadline=None)
    @given(data=inputs(target))
    def run(data: bytes) -> None:
        finding = judge(target, data)
        assert finding is None, finding and finding.text

    run()

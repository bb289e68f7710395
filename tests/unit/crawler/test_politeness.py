from __future__ import annotations

import math

from core.fetching.politeness import HostSchedule
from tests.clocks import ManualClock


def test_requests_to_one_host_are_a_delay_apart_and_other_hosts_do_not_wait() -> None:
    clock = ManualClock(100.0)
    hosts = HostSchedule(0.5, 4, clock)
    hosts.begin("a")
    assert (hosts.wait("a"), hosts.wait("b")) == (0.5, 0.0)
    clock.now += 0.5
    assert hosts.wait("a") == 0.0


def test_a_host_never_exceeds_its_concurrent_requests() -> None:
    hosts = HostSchedule(0.0, 2, ManualClock(100.0))
    hosts.begin("a")
    hosts.begin("a")
    assert hosts.wait("a") == math.inf
    hosts.end("a", 0.0, ok=True)
    assert hosts.wait("a") == 0.0


def test_a_slow_host_is_asked_more_slowly_and_a_failure_never_makes_it_faster() -> None:
    clock = ManualClock(100.0)
    hosts = HostSchedule(0.1, 2, clock)
    for _ in range(10):
        hosts.begin("a")
        hosts.end("a", 4.0, ok=True)
    assert hosts.host("a").delay == 2.0
    hosts.begin("a")
    hosts.end("a", 0.01, ok=False)
    assert hosts.host("a").delay == 2.0
    for _ in range(20):
        hosts.begin("a")
        hosts.end("a", 0.0, ok=True)
    assert 0.1 <= hosts.host("a").delay < 0.11


def test_a_host_is_paused_until_the_longest_demanded_pause_ends() -> None:
    clock = ManualClock(100.0)
    hosts = HostSchedule(0.0, 2, clock)
    hosts.pause("a", 30.0)
    hosts.pause("a", 10.0)
    assert (hosts.wait("a"), hosts.paused()) == (30.0, {"a": 30.0})
    clock.now += 30.0
    assert (hosts.wait("a"), hosts.paused()) == (0.0, {})

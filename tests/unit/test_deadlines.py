from __future__ import annotations

from datetime import timedelta

import pytest

from broker.client import HEARTBEAT_SECONDS
from core.deadlines import Deadlines
from core.settings import Settings
from worker.maintenance.lease_watch import LOOK_SECONDS

ONE_SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("seconds", [1.0, 5.0, 30.0, 3600.0])
def test_each_deadline_leaves_room_for_the_one_before(seconds: float) -> None:
    deadlines = Deadlines.of(Settings(lease_seconds=seconds))
    assert deadlines.lease == timedelta(seconds=seconds)
    # A lease survives two failed renewals.
    assert 2 * deadlines.renewal_interval < deadlines.lease
    # A hanging device ends its process while the process still renews its chunks. A hanging thread is given up later.
    assert deadlines.lease < deadlines.device_timeout < deadlines.max_hold
    # Redis delivers a message again only after every other way to take up the chunk.
    assert deadlines.max_hold + deadlines.lease < deadlines.visibility_timeout
    assert deadlines.lost_message_after < deadlines.lease


def test_a_dead_worker_is_noticed_within_ten_seconds_and_after_two_missed_signs_of_life() -> None:
    deadlines = Deadlines.of(Settings())
    assert deadlines.silence > 2 * max(deadlines.renewal_interval.total_seconds(), HEARTBEAT_SECONDS) * ONE_SECOND
    # The watch sees a renewal up to one look late, and the silence up to one look late. The sweeper may wait for beat.
    looks = 2 * LOOK_SECONDS + Settings().sweep_seconds
    assert deadlines.silence.total_seconds() + looks < 10
    # A slow installation with long leases gets longer silences.
    assert Deadlines.of(Settings(lease_seconds=120)).silence == 20 * ONE_SECOND

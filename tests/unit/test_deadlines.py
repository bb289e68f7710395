from __future__ import annotations

from datetime import timedelta

import pytest

from core.deadlines import Deadlines
from core.settings import Settings


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
    assert deadlines.lost_message_after < deadlines.renewal_interval

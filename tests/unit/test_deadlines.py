from __future__ import annotations

from datetime import timedelta

import pytest

from core.deadlines import Deadlines
from core.settings import Settings


@pytest.mark.parametrize("seconds", [1.0, 5.0, 30.0, 3600.0])
def test_every_deadline_leaves_room_for_the_one_before(seconds: float) -> None:
    deadlines = Deadlines.of(Settings(lease_seconds=seconds))
    assert deadlines.lease == timedelta(seconds=seconds)
    # Two renewals may fail before a lease ends.
    assert 2 * deadlines.renewal_interval < deadlines.lease
    # A device that hangs ends its process while its chunks are still renewed; a thread that hangs is given up later.
    assert deadlines.lease < deadlines.device_timeout < deadlines.max_hold
    # Redis hands a message on only when nobody else would do it sooner.
    assert deadlines.max_hold + deadlines.lease < deadlines.visibility_timeout
    assert deadlines.lost_message_after < deadlines.renewal_interval

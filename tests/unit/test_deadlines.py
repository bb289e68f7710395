from __future__ import annotations

from datetime import timedelta

import pytest

from core.deadlines import Deadlines
from core.settings import Settings


@pytest.mark.parametrize("seconds", [1.0, 5.0, 30.0, 3600.0])
def test_every_deadline_leaves_room_for_the_one_before(seconds: float) -> None:
    it = Deadlines.of(Settings(lease_seconds=seconds))
    assert it.lease == timedelta(seconds=seconds)
    # Two renewals may fail before a lease ends.
    assert 2 * it.renew < it.lease
    # A device that hangs ends its process while its chunks are still renewed; a thread that hangs is given up later.
    assert it.lease < it.device < it.hold
    # Redis hands a message on only when nobody else would do it sooner.
    assert it.hold + it.lease < it.visibility
    assert it.patience < it.renew

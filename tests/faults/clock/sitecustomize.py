"""Python imports this by its name when it starts, if its folder is on PYTHONPATH: the process's clock can then be set.

The file that LOOKBOOK_FAULT_CLOCK names holds by how many seconds this process's clock is ahead. The campaign writes
it while the process runs, so its clock jumps as when somebody sets it. What reads the time through `time.time`,
`time.time_ns` or `datetime.now` is fooled; `time.monotonic`, databases, Redis and C libraries are not.
"""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path
from typing import Any

_LOOK_SECONDS = 0.2
"""How often the file is read again."""

_path = Path(os.environ["LOOKBOOK_FAULT_CLOCK"])
_real_time, _real_time_ns = time.time, time.time_ns
_RealDatetime = datetime.datetime
_ahead, _looked = 0.0, float("-inf")


def _seconds_ahead() -> float:
    global _ahead, _looked  # noqa: PLW0603 (one clock a process)
    now = time.monotonic()
    if now - _looked > _LOOK_SECONDS:
        _looked = now
        try:
            _ahead = float(_path.read_text())
        except (OSError, ValueError):
            _ahead = 0.0
    return _ahead


def _time() -> float:
    return _real_time() + _seconds_ahead()


def _time_ns() -> int:
    return _real_time_ns() + int(_seconds_ahead() * 1e9)


class _Kind(type):
    """Instances are always of the real class: nobody who asks for a type meets another one."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _RealDatetime)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _RealDatetime)


class _Datetime(_RealDatetime, metaclass=_Kind):
    """`datetime.datetime` whose `now` is that of this process's clock."""

    # As large as the real one: extension modules compare the sizes.
    __slots__ = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return _RealDatetime(*args, **kwargs)

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _RealDatetime.now(tz) + datetime.timedelta(seconds=_seconds_ahead())

    @classmethod
    def utcnow(cls) -> Any:
        return _RealDatetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(seconds=_seconds_ahead())


time.time, time.time_ns = _time, _time_ns
datetime.datetime = _Datetime  # type: ignore[misc]

"""A clock that the campaign can set, for one process.

Python imports a module of this name when it starts, if the module's folder is on PYTHONPATH. The file that
LOOKBOOK_FAULT_CLOCK names holds the seconds by which this process's clock is ahead. The campaign writes the file while
the process runs, so the clock jumps as it does when an administrator sets it. Only `time.time`, `time.time_ns` and
`datetime.now` jump; `time.monotonic`, databases, Redis and C libraries keep the real time.
"""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path
from typing import Any

_REREAD_SECONDS = 0.2
"""Seconds between two readings of the file."""

_path = Path(os.environ["LOOKBOOK_FAULT_CLOCK"])
_real_time, _real_time_ns = time.time, time.time_ns
_RealDatetime = datetime.datetime
_ahead, _read_at = 0.0, float("-inf")


def _seconds_ahead() -> float:
    global _ahead, _read_at  # noqa: PLW0603 (a process has one clock)
    now = time.monotonic()
    if now - _read_at > _REREAD_SECONDS:
        _read_at = now
        try:
            _ahead = float(_path.read_text())
        except (OSError, ValueError):
            _ahead = 0.0
    return _ahead


def _time() -> float:
    return _real_time() + _seconds_ahead()


def _time_ns() -> int:
    return _real_time_ns() + int(_seconds_ahead() * 1e9)


class _RealInstances(type):
    """Makes `isinstance` and `issubclass` accept the real class, because all instances are of the real class."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _RealDatetime)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _RealDatetime)


class _Datetime(_RealDatetime, metaclass=_RealInstances):
    """`datetime.datetime` whose `now` reads this process's clock."""

    # Extension modules compare the size of instances with that of the real class.
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

"""The log files of `lookbook up`: what its processes print, as JSON lines, in files of bounded size."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import suppress
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, Any

from core.clock import utc_now
from core.safe_json import to_json

OLDER_FILES = 4
"""Files of a process that are kept besides the present one: `worker.log.1` is the youngest of them."""
_MAX_LINE_BYTES = 2**20
_OWN_FIELDS = {"time", "level", "logger", "event", "process", "pid", "exception"}


class _File(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name is the library's)
        """Drop the line: if the disk is full, the service goes on without its log."""


class LogFile:
    """The log file of one process and of those that replace it when it has died."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self._file = _File(path, maxBytes=max_bytes, backupCount=OLDER_FILES, encoding="utf-8")
        self._readers: list[threading.Thread] = []

    def follow(self, output: IO[bytes], process_id: int) -> None:
        """Write what a process prints, until it and its children have closed `output`. Return at once."""
        self._readers = [reader for reader in self._readers if reader.is_alive()]
        reader = threading.Thread(target=self._copy, args=(output, process_id), name=self.path.name, daemon=True)
        self._readers.append(reader)
        reader.start()

    def tail(self, lines: int) -> list[str]:
        """Return the last lines of the file as a person reads them."""
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 64 * 1024))
            return [readable_line(line) for line in file.read().decode(errors="replace").splitlines()[-lines:]]

    def wait(self, seconds: float) -> None:
        """Wait until all that ended processes have printed is in the file, but not longer than this."""
        for reader in self._readers:
            reader.join(seconds)

    def close(self) -> None:
        """Close the file. If the disk is full, its last lines are lost."""
        with suppress(OSError):
            self._file.close()

    def _copy(self, output: IO[bytes], process_id: int) -> None:
        with output:
            while line := output.readline(_MAX_LINE_BYTES):
                text = line.decode(errors="replace").strip()
                if text:
                    self._file.handle(logging.makeLogRecord({"msg": json_line(text, self.path.stem, process_id)}))


def json_line(text: str, process: str, process_id: int) -> str:
    """Return a line of a log as it is, or as the event of such a line if it is plain text.

    Plain text comes from Redis, which can print nothing else, and from libraries that fail.
    """
    if _parse(text) is not None:
        return text
    time = utc_now().isoformat().replace("+00:00", "Z")
    return to_json(
        {"event": text, "process": process, "pid": process_id, "level": "warning", "logger": process, "time": time}
    )


def readable_line(line: str) -> str:
    """Return a line of a log as a person reads it: time, severity, event, its other fields, and the error itself."""
    fields = _parse(line)
    if fields is None:
        return line
    time = str(fields.get("time", ""))
    with suppress(ValueError):
        time = datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S")
    others = [f"{name}={value}" for name, value in fields.items() if name not in _OWN_FIELDS]
    error = str(fields.get("exception", "")).strip().splitlines()[-1:]
    return " ".join(filter(None, [time, str(fields.get("level", "")), str(fields["event"]), *others, *error]))


def _parse(line: str) -> dict[str, Any] | None:
    """Return the fields of a line, or None if it is plain text."""
    if not line.startswith("{"):
        return None
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and "event" in fields else None

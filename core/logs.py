"""Logging through structlog: each event is one line of JSON on standard error."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType

import structlog

from core.safe_json import to_json

_TALKATIVE = ("alembic", "celery.app.trace", "celery.worker.strategy", "scrapy", "twisted")
"""Loggers of libraries that write lines for each request, task or URL. Only their warnings are logged."""


def configure_logging(level: str, process: str) -> None:
    """Make structlog and the standard library log JSON lines of severity `level` or higher to standard error.

    Each line has `time`, `level`, `logger`, `event`, `process` (the kind of process, as given here) and `pid`. Lines
    that are written for a request or a message also have its `request_id`, `job` and `chunk` (`bind_ids`).

    An exception that nothing catches becomes such a line, too. Python would print its message as it is, and a message
    with foreign text could then look like lines of the log.
    """
    numeric = logging.getLevelNamesMapping()[level.upper()]

    def add_process(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        # gunicorn forks after this configuration, so that the id must be asked for each time.
        event["process"], event["pid"] = process, os.getpid()
        return event

    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        add_process,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    # Libraries give their own loggers lower levels.
    handler.setLevel(numeric)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(numeric)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(numeric, logging.WARNING))
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda thread: _log_uncaught(thread.exc_type, thread.exc_value, thread.exc_traceback)


def write_line(process: str, logger: str, event: str, fields: Mapping[str, object]) -> None:
    """Log one line of severity `info`, if lines of this severity are logged.

    It does what the loggers do in less than half of their time, for events as frequent as requests.
    """
    if not logging.getLogger().isEnabledFor(logging.INFO):
        return
    time = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    common = {"event": event, "level": "info", "logger": logger, "process": process, "pid": os.getpid(), "time": time}
    with suppress(OSError):
        # One write for each line, so that lines of several threads and processes do not mix.
        os.write(sys.stderr.fileno(), (to_json({**fields, **common}) + "\n").encode())


def bind_ids(**ids: str | None) -> None:
    """Add ids to the lines that this thread logs from now on, in place of earlier ones. None: there is no such id."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**{name: value for name, value in ids.items() if value is not None})


def current_request_id() -> str | None:
    """Return the id of the request that this thread works for, or None if there is none or it is not known."""
    request_id: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return request_id


def _log_uncaught(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    if not issubclass(kind, Exception):
        # Ctrl-C and SystemExit end a process, and are no errors.
        return
    caught = error or kind()
    logging.getLogger(__name__).critical("uncaught_exception", exc_info=(kind, caught, traceback))

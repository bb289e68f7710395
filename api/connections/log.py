"""gunicorn's log as JSON lines, with one line for each request."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from typing import Any

from flask import g, request
from gunicorn.glogging import Logger

from core.logs import write_line
from core.metrics import count_request

_NOTE = "lookbook.request"
"""The name under which the application leaves its part of the line in the WSGI environment."""


class Log(Logger):  # type: ignore[misc]
    """Sends gunicorn's messages to the root logger, and logs each request when its answer has been sent.

    The line has the template of the path in place of the path itself, and no query, header or body: these can hold
    keys, secrets and the names of people's files.
    """

    def setup(self, cfg: Any) -> None:
        """Keep the root logger. gunicorn would give it a handler of its own."""
        self.cfg = cfg
        self.error_log.propagate = True

    @property
    def access_log_enabled(self) -> bool:
        return True

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Log a request: its method, route, status, duration, bytes of the answer, key and id."""
        route, ids = environ.get(_NOTE, (None, {}))
        count_request(environ.get("REQUEST_METHOD"), route, resp.status_code, request_time.total_seconds())
        fields = {
            "method": environ.get("REQUEST_METHOD"),
            "route": route,
            "status": resp.status_code,
            "milliseconds": round(request_time.total_seconds() * 1000, 1),
            "bytes": resp.sent,
            **ids,
        }
        write_line("api", "api.requests", "request", fields)


def note_request() -> None:
    """Leave what only the application knows about the current request for its line in the log."""
    rule = request.url_rule
    ids = {"request_id": g.get("request_id"), "key": g.caller.key_id if "caller" in g else None}
    if request.view_args and "job_id" in request.view_args:
        ids["job"] = request.view_args["job_id"]
    request.environ[_NOTE] = template(rule.rule) if rule else None, ids


@lru_cache(maxsize=500)
def template(rule: str) -> str:
    """Return the path of a route as OpenAPI writes it: `/v1/jobs/{job_id}`."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)

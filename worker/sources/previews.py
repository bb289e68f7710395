"""Makes previews of shops: what the first page of a crawl would yield. Each is made in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from broker.client import Broker
from core.errors import BrokerUnavailable
from core.item_errors import FetchTooSlow, ItemError, ShopUnreachable
from core.settings import PROJECT, Settings
from crawler.preview import PREVIEW_SECONDS
from worker.sources.crawls import child_environment

log = structlog.get_logger(__name__)

_THREADS = 2
"""Previews that one worker makes at the same time."""


class PreviewRunner:
    """Makes the previews that clients ask for, in threads of its own. A client that is gone loses only its answer."""

    def __init__(self, broker: Broker, settings: Settings) -> None:
        self._broker = broker
        self._settings = settings
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="preview")

    def start(self, preview_id: str) -> None:
        """Begin a preview, and return at once."""
        self._threads.submit(self.make, preview_id)

    def close(self) -> None:
        """Begin no more previews, and return when the running ones are done."""
        self._threads.shutdown(cancel_futures=True)

    def make(self, preview_id: str) -> None:
        """Make a preview that a client has asked for, and keep what it shows."""
        try:
            kept = self._broker.read_preview(preview_id)
            if kept is not None:
                self._broker.keep_preview(preview_id, {**kept, **self._read(kept["request"])})
        except BrokerUnavailable as error:
            log.warning("preview_not_kept", preview=preview_id, reason=str(error))

    def _read(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "crawler.preview"],
                input=json.dumps(request).encode(),
                capture_output=True,
                cwd=PROJECT,
                env={**os.environ, **child_environment(self._settings)},
                timeout=PREVIEW_SECONDS,
                check=True,
            )
        except subprocess.TimeoutExpired:
            error: ItemError = FetchTooSlow(f"the page was not read within {PREVIEW_SECONDS:g} s")
        except subprocess.CalledProcessError as failed:
            log.error("preview_failed", url=request["url"], reason=failed.stderr.decode(errors="replace")[-2000:])
            error = ShopUnreachable("the page could not be read")
        else:
            read: dict[str, Any] = json.loads(done.stdout)
            return {"state": "failed" if "error" in read else "done", **read}
        return {"state": "failed", "error": {"code": error.code, "detail": error.detail, "retryable": error.retryable}}

"""The part of the client that asks about model versions, and promotes them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

from lookbook.errors import NotPromoted, WaitTimeout
from lookbook.jobs import POLL_SECONDS
from lookbook.model_answers import Confusion, Labels, ModelDrift, ModelVersion, ModelVersionDetail, Promotion, Shadow
from lookbook.reading import read
from lookbook.retrying import retry_after
from lookbook.transport import Transport, json_object
from lookbook.uploads import json_body

FAILURE_SECONDS = 10.0
"""Seconds for which workers must report that they cannot load a model version before `promote` gives up. They try again
every few seconds, so an older failure is forgotten by then."""


class ModelRequests:
    """The methods of `Client` for model versions."""

    _transport: Transport

    def models(self) -> Iterator[ModelVersion]:
        """Yield model versions with their aliases and metrics."""
        for row in self._transport.pages("/v1/models"):
            yield read(ModelVersion, row)

    def model(self, name: str, version: str) -> ModelVersionDetail:
        """Return a model version with its labels and card."""
        return read(ModelVersionDetail, self._transport.request_object("GET", _version_path(name, version)))

    def confusion(self, name: str, version: str) -> list[Confusion]:
        """Return how often a model version predicted which label where people gave which, in the jobs that you see."""
        path = f"{_version_path(name, version)}/confusion"
        return [read(Confusion, row) for row in self._transport.request_object("GET", path)["data"]]

    def drift(self, name: str, version: str, *, weeks: int = 12) -> ModelDrift:
        """Return how far the predictions of the last weeks are from those on the validation pictures of the model."""
        path = f"{_version_path(name, version)}/drift"
        return read(ModelDrift, self._transport.request_object("GET", path, query={"weeks": str(weeks)}))

    def start_shadow(self, name: str, version: str, *, share: float = 0.05) -> Shadow:
        """Let a model version also classify a share of the new pictures, without showing its predictions."""
        body = json_body({"share": share})
        return read(Shadow, self._transport.request_object("POST", f"{_version_path(name, version)}/shadow", body=body))

    def shadows(self, name: str, version: str) -> list[Shadow]:
        """Return the last shadow runs of a model version, newest first, with their comparisons so far."""
        answer = self._transport.request_object("GET", f"{_version_path(name, version)}/shadow")
        return [read(Shadow, row) for row in answer["data"]]

    def stop_shadow(self, name: str, version: str) -> Shadow:
        """End the shadow run of a model version."""
        return read(Shadow, self._transport.request_object("DELETE", f"{_version_path(name, version)}/shadow"))

    def labels(self, model: str = "production") -> Labels:
        """Return the labels and groups of a model, which is a name, name@version or an alias."""
        return read(Labels, self._transport.request_object("GET", "/v1/labels", query={"model": model}))

    def promote(
        self,
        name: str,
        version: str,
        *,
        progress: Callable[[Promotion], object] | None = None,
        timeout: float = 120.0,
    ) -> Promotion:
        """Make a model version `production` as soon as every live worker has loaded it.

        `progress` is called after each check.

        Raises:
            NotPromoted: A worker could not load it for `FAILURE_SECONDS`. `production` has not changed.
            WaitTimeout: Not all workers have loaded it after `timeout` seconds. `production` has not changed.
        """
        deadline, failing_since = time.monotonic() + timeout, math.inf
        path = f"/v1/models/{quote(name, safe='')}/promote"
        while True:
            response = self._transport.request("POST", path, body=json_body({"version": version}), repeatable=True)
            promotion = read(Promotion, json_object(response))
            if progress is not None:
                progress(promotion)
            if promotion.promoted:
                return promotion
            now = time.monotonic()
            failing_since = min(failing_since, now) if promotion.failures else math.inf
            if promotion.failures and (now - failing_since >= FAILURE_SECONDS or now > deadline):
                reasons = "; ".join(f"{failure.worker}: {failure.reason}" for failure in promotion.failures)
                raise NotPromoted(f"{name}@{version} stays a candidate, because workers cannot load it: {reasons}")
            if now > deadline:
                missing = ", ".join(promotion.waiting_for)
                raise WaitTimeout(
                    f"{name}@{version} stays a candidate: after {timeout:g} s it is not loaded by {missing}"
                )
            self._transport.sleep(retry_after(response.headers) or POLL_SECONDS)


def _version_path(name: str, version: str) -> str:
    return f"/v1/models/{quote(name, safe='')}/{quote(version, safe='')}"

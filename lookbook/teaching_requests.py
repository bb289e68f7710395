"""The part of the client that writes the owner's taxonomy, teaches models, and asks what a version would change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from lookbook.errors import LessonFailed, WaitTimeout
from lookbook.jobs import POLL_SECONDS
from lookbook.reading import read
from lookbook.teaching_answers import Lesson, OwnTaxonomy
from lookbook.transport import Transport
from lookbook.uploads import json_body


class TeachingRequests:
    """The methods of `Client` for teaching."""

    _transport: Transport

    def taxonomy(self) -> OwnTaxonomy:
        """Return the labels and groups that you have added to those of the models."""
        return read(OwnTaxonomy, self._transport.request_object("GET", "/v1/taxonomy"))

    def put_taxonomy(
        self, labels: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]] = ()
    ) -> OwnTaxonomy:
        """Replace your own labels, `{"id", "group", "name": {language: name}}`, and groups, `{"id", "name"}`."""
        body = json_body({"groups": list(groups), "labels": list(labels)})
        return read(OwnTaxonomy, self._transport.request_object("PUT", "/v1/taxonomy", body=body))

    def teach(
        self,
        jobs: Sequence[str],
        *,
        model: str | None = None,
        name: str | None = None,
        keep_labels: bool = True,
        rejected_as: str | None = None,
    ) -> Lesson:
        """Let a worker fit a new head on the reviews of jobs, and publish it. See `wait_for_lesson`."""
        members: dict[str, Any] = {"model": model, "name": name, "rejected_as": rejected_as}
        return self._create_lesson("teach", jobs, members | {"keep_labels": keep_labels})

    def calibrate(self, jobs: Sequence[str], *, model: str | None = None, name: str | None = None) -> Lesson:
        """Let a worker fit the temperature of a model version on the reviews of jobs, and publish the result."""
        return self._create_lesson("calibrate", jobs, {"model": model, "name": name})

    def rescore(self, model: str, jobs: Sequence[str] = ()) -> Lesson:
        """Let a worker find out which labels of jobs a version would change. No job: of all that you may see."""
        return self._create_lesson("rescore", jobs, {"model": model})

    def lesson(self, lesson_id: str) -> Lesson:
        """Return a lesson as it stands."""
        return read(Lesson, self._transport.request_object("GET", f"/v1/lessons/{quote(lesson_id, safe='')}"))

    def lessons(self) -> Iterator[Lesson]:
        """Yield your lessons, newest first."""
        for row in self._transport.pages("/v1/lessons"):
            yield read(Lesson, row)

    def wait_for_lesson(
        self, lesson: Lesson, *, timeout: float = 3600.0, progress: Callable[[Lesson], object] | None = None
    ) -> Lesson:
        """Return a lesson when it is completed. `progress` is called after each look.

        Raises:
            LessonFailed: it has failed; the message says why.
            WaitTimeout: it is not finished after `timeout` seconds. It goes on.
        """
        deadline = time.monotonic() + timeout
        while not lesson.finished:
            if time.monotonic() > deadline:
                raise WaitTimeout(f"{lesson.id} is still {lesson.status} after {timeout:g} s")
            self._transport.sleep(POLL_SECONDS)
            lesson = self.lesson(lesson.id)
            if progress is not None:
                progress(lesson)
        if lesson.error is not None:
            raise LessonFailed(f"{lesson.id} failed: {lesson.error}")
        return lesson

    def _create_lesson(self, kind: str, jobs: Sequence[str], members: Mapping[str, Any]) -> Lesson:
        given = {name: value for name, value in members.items() if value is not None}
        body = json_body({"kind": kind, "jobs": list(jobs), **given})
        return read(Lesson, self._transport.request_object("POST", "/v1/lessons", body=body))

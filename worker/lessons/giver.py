"""The thread of a maintenance worker that computes lessons, one after the other."""

from __future__ import annotations

import structlog

from core.clock import utc_now
from core.errors import LookbookError
from core.settings import Settings
from db.database import Database
from db.steps import lessons
from db.tables import LessonKind
from worker.background import BackgroundThreads
from worker.lessons.work import Order, Outcome, make_available

log = structlog.get_logger(__name__)


class LessonGiver(BackgroundThreads[Order]):
    """Computes the lessons that wait."""

    def __init__(self, database: Database, settings: Settings) -> None:
        # One thread only, because a fit uses all cores.
        super().__init__("lessons", max_threads=1)
        self._database = database
        self._settings = settings

    def _take(self) -> Order | None:
        with self._database.writing() as session:
            lesson = lessons.take(session, utc_now())
            return None if lesson is None else Order.of(lesson)

    def _do(self, order: Order) -> None:
        try:
            outcome = self._compute(order)
        except (LookbookError, OSError) as error:
            reason = error.detail if isinstance(error, LookbookError) else f"{error.filename}: {error.strerror}"
            log.warning("lesson_failed", lesson=order.id, reason=reason)
            with self._database.writing() as session:
                lessons.fail(session, order.id, reason, utc_now())
            return
        with self._database.writing() as session:
            artifact = outcome.artifact
            published = None if artifact is None else make_available(self._settings, session, artifact)
            lessons.complete(session, order.id, outcome.result, published, utc_now())
        log.info("lesson_completed", lesson=order.id, kind=order.kind.value)

    def _compute(self, order: Order) -> Outcome:
        # OpenVINO and scikit-learn take long to import, and most maintenance workers never need them.
        if order.kind == LessonKind.TEACH:
            from worker.lessons.teach import teach

            return teach(self._settings, self._database, order)
        if order.kind == LessonKind.CALIBRATE:
            from worker.lessons.calibrate import calibrate

            return calibrate(self._settings, self._database, order)
        from worker.lessons.rescore import rescore

        return rescore(self._settings, self._database, order)

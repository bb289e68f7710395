"""Computes the hints of jobs in the background: which items a person should look at first (classifier/hints.py)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy.exc import IntegrityError

from classifier import hints
from classifier.artifact import Artifact
from classifier.hints import Floats, Reference
from core.clock import utc_now
from core.errors import ArtifactInvalid, BlobStoreUnavailable, ModelUnknown, StorageFull
from core.settings import Settings
from db.database import Database
from db.steps import hinting, lifecycle
from db.steps.hinting import MAX_RANKED, DueJob, HintItem, Ranked
from db.tables import HintKind
from worker.background import BackgroundThreads
from worker.predicting.model_store import open_registered

log = structlog.get_logger(__name__)

DIVERSE_ITEMS = 100
"""Items of the diverse sample."""
_DIVERSE_FROM = 20_000
"""Items from which the sample is chosen. From a larger job, so many are drawn first, because choosing takes memory and
time for each of them."""
_CLOSE_MARGIN = 0.2
"""Best two scores that are closer count as doubt."""
_AGREEMENT = 0.5
"""With a smaller share of the votes, most neighbours have other labels."""
_SEED = 0


class HintMaker(BackgroundThreads[DueJob]):
    """Computes the hints of one job after another."""

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        # One thread only, because a second one would find the same job.
        super().__init__("hints", max_threads=1)
        self._database = database
        self._settings = settings
        self._clock = clock

    def _take(self) -> DueJob | None:
        with self._database.reading() as session:
            return hinting.first_due(session)

    def _do(self, job: DueJob) -> None:
        reference, why = self._reference(job)
        columns = _Columns(job.labels, reference)
        page: list[HintItem] = []
        while page or not columns.count:
            # Each page is read in a transaction of its own, so that no snapshot of the database stays open.
            with self._database.reading() as session:
                page = hinting.read_page(session, job, page[-1].position if page else -1)
            if self.stopping.is_set():
                return
            if not page:
                break
            columns.add(page)
        orders = columns.orders(why)
        try:
            with self._database.writing() as session:
                row = lifecycle.lock_job(session, job.id)
                stored = row is not None and hinting.store(session, row, job, orders, self._clock())
        except IntegrityError:
            # The purger removed items of the job meanwhile. The next run finds whether anything is left of it.
            log.info("purged_meanwhile", job=job.id)
            return
        log.info("hints_computed", job=job.id, stored=stored, items=columns.count)

    def _reference(self, job: DueJob) -> tuple[Reference | None, str]:
        """Return the training pictures of a job's model, or None and why they are not known."""
        try:
            artifact = open_registered(self._settings, job.model, job.digest)
        except (ModelUnknown, ArtifactInvalid, BlobStoreUnavailable, StorageFull) as error:
            return None, f"the artifact of {job.model} cannot be read: {error.detail}"
        return _reference_of(artifact)


def _reference_of(artifact: Artifact) -> tuple[Reference | None, str]:
    if artifact.embedding is None:
        return None, f"the model {artifact.ref} has no embedding output: export it again"
    found = artifact.reference()
    if found is None or not len(found.train_embeddings) or not len(found.validation_embeddings):
        return None, f"the model {artifact.ref} was published without vectors of its training pictures"
    return Reference(found.train_embeddings, found.train_labels, found.validation_embeddings), ""


class _Columns:
    """The values of a job's items, filled page by page. It keeps the scores and vectors only of some items."""

    def __init__(self, labels: list[str], reference: Reference | None) -> None:
        self.count = 0
        self._numbers = {label: number for number, label in enumerate(labels)}
        self._reference = reference
        self._random = np.random.default_rng(_SEED)
        self._margins: list[tuple[NDArray[np.int64], Floats]] = []
        self._compared: list[tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]] = []
        self._given: list[tuple[int, int]] = []
        self._given_scores: list[Floats] = []
        self._sample: list[tuple[int, Floats]] = []
        self._with_vector = 0

    def add(self, page: list[HintItem]) -> None:
        positions = np.array([item.position for item in page], np.int64)
        scores = np.array([item.scores for item in page], np.float32)
        self.count += len(page)
        self._margins.append((positions, hints.margins(scores)))
        for row, item in enumerate(page):
            if item.given in self._numbers:
                self._given.append((item.position, self._numbers[item.given]))
                self._given_scores.append(scores[row].astype(np.float16))
        pairs = [(item, item.vector) for item in page if item.vector is not None]
        if not pairs:
            return
        vectors = np.stack([vector for _, vector in pairs])
        self._draw([item.position for item, _ in pairs], vectors)
        if self._reference is not None:
            labels = np.array([self._numbers.get(item.listed or "", -1) for item, _ in pairs], np.int64)
            at = np.array([item.position for item, _ in pairs], np.int64)
            self._compared.append((at, labels, *self._reference.compare(vectors, labels)))

    def _draw(self, positions: list[int], vectors: Floats) -> None:
        """Keep a uniform sample of the vectors (reservoir sampling: J. Vitter, algorithm R, 1985)."""
        for position, vector in zip(positions, vectors, strict=True):
            self._with_vector += 1
            if len(self._sample) < _DIVERSE_FROM:
                self._sample.append((position, vector))
                continue
            place = int(self._random.integers(self._with_vector))
            if place < _DIVERSE_FROM:
                self._sample[place] = (position, vector)

    def orders(self, why: str) -> dict[HintKind, Ranked]:
        """Return the order of each hint. `why`: why the training pictures are not known."""
        return {
            HintKind.DOUBT: self._doubt(),
            **self._of_neighbours(why),
            HintKind.MISLABELLED: self._mislabelled(),
            HintKind.DIVERSE: self._diverse(),
        }

    def _doubt(self) -> Ranked:
        if not self._margins:
            return Ranked(missing="no item of the job has a prediction")
        positions, values = (np.concatenate(parts) for parts in zip(*self._margins, strict=True))
        return _ranked(positions, values, values < _CLOSE_MARGIN)

    def _of_neighbours(self, why: str) -> dict[HintKind, Ranked]:
        if not self._compared:
            missing = Ranked(missing=why or _NO_VECTORS)
            return {HintKind.SURPRISE: missing, HintKind.UNKNOWN: missing}
        positions, labels, agreement, familiarity = (np.concatenate(p) for p in zip(*self._compared, strict=True))
        listed = labels >= 0
        return {
            HintKind.SURPRISE: _ranked(positions[listed], agreement[listed], agreement[listed] < _AGREEMENT),
            HintKind.UNKNOWN: _ranked(positions, familiarity, familiarity < 1),
        }

    def _mislabelled(self) -> Ranked:
        if not self._given:
            return Ranked(missing="no item has a label of a person or of the catalog")
        positions, given = np.array(self._given, np.int64).T
        quality, flagged = hints.label_quality(np.stack(self._given_scores).astype(np.float32), given)
        return _ranked(positions, quality, flagged)

    def _diverse(self) -> Ranked:
        if not self._sample:
            return Ranked(missing=_NO_VECTORS)
        positions = [position for position, _ in self._sample]
        chosen = hints.diverse(np.stack([vector for _, vector in self._sample]), DIVERSE_ITEMS).tolist()
        rows = [(positions[row], float(number), True) for number, row in enumerate(chosen)]
        return Ranked(rows, items=len(rows))


_NO_VECTORS = "the items have no vectors: their model has no embedding output, or vectors are turned off"


def _ranked(positions: NDArray[np.int64], values: Floats, flagged: NDArray[np.bool_]) -> Ranked:
    """Return the first items by value, then by position."""
    order = np.lexsort((positions, values))[:MAX_RANKED]
    rows = zip(positions[order].tolist(), values[order].tolist(), flagged[order].tolist(), strict=True)
    return Ranked(list(rows), items=len(values))

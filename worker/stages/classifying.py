"""The classify stage: decode the pictures of a chunk, predict them in batches, and record the predictions."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from broker.client import Broker
from broker.dispatch import dispatch
from classifier.runtime import Answer
from classifier.taxonomy import Taxonomy
from core.clock import utc_now
from core.item_errors import ModelFailed
from core.messages import ChunkMessage, Queue
from core.tracing import record_span
from core.types import PictureInfo, PictureKey
from core.vectors import encode
from db.database import Database
from db.steps import chunks
from db.steps.chunks import ChunkPolicy
from db.steps.recording import NewPrediction, Outcome, Recorded, find_predictions, record
from db.tables import Stage
from db.views import items, jobs, vectors
from db.views.jobs import JobModel
from worker.decoding.pool import DecodedPicture, DecoderPool
from worker.leases import HeldLeases
from worker.predicting.models import LoadedModel, ModelCache
from worker.stages.from_vectors import HeadCache
from worker.stages.in_flight import PicturesInFlight
from worker.stages.stage import ChunkStage

RECORD_SECONDS = 0.25
"""Seconds after which a chunk that is still being worked on records what it has."""


@dataclass(frozen=True, slots=True)
class _Work:
    """The pending pictures of a chunk, and the model that classifies them."""

    model: JobModel
    pictures: list[PictureKey]
    """Those of the items, and those of their regions."""
    known: list[PictureKey]
    """Those of the pictures whose prediction is in the database already."""
    taken_at: datetime
    vectors: Mapping[PictureKey, bytes]
    """Those of the others that a version with the same backbone has classified, with their vectors."""


class _EarlyRecords:
    """Records the outcomes of a chunk that takes long before all of them are there, so that the job's counts move.

    With regions, an item needs the outcomes of several pictures, so nothing is recorded early.
    """

    def __init__(self, write: Callable[[Mapping[PictureKey, Outcome]], int], takes_regions: bool) -> None:
        self.finished_items = 0
        self._write = write
        self._is_off = takes_regions
        self._recorded: set[PictureKey] = set()
        self._last = time.monotonic()

    def without_recorded(self, outcomes: Mapping[PictureKey, Outcome]) -> dict[PictureKey, Outcome]:
        """Return the outcomes that have not been recorded yet."""
        return {picture: outcome for picture, outcome in outcomes.items() if picture not in self._recorded}

    def record_if_due(self, outcomes: Mapping[PictureKey, Outcome]) -> None:
        """Record the new ones of these outcomes, if the last record is `RECORD_SECONDS` old."""
        if self._is_off or time.monotonic() - self._last < RECORD_SECONDS:
            return
        new = self.without_recorded(outcomes)
        self.finished_items += self._write(new)
        self._recorded.update(new)
        self._last = time.monotonic()


class ClassifyStage(ChunkStage[_Work]):
    """Classifies the pictures of chunks, each picture once even if several chunks contain it at the same time."""

    stage = Stage.CLASSIFY

    def __init__(
        self,
        database: Database,
        broker: Broker,
        models: ModelCache,
        decoders: DecoderPool,
        leases: HeldLeases,
        policy: ChunkPolicy,
    ) -> None:
        super().__init__(database, broker, leases, policy)
        self._models = models
        self._decoders = decoders
        self._in_flight = PicturesInFlight()
        self._heads = HeadCache()

    def _take(self, message: ChunkMessage) -> _Work | None:
        now = utc_now()
        with self._database.writing() as session:
            if not chunks.take(session, message.chunk_id, self._leases.worker, self._policy, now):
                return None
            model = jobs.read_job_model(session, message.job_id)
            if model is None:
                return None
            pictures = items.list_pending_pictures(session, message.chunk_id, with_regions=model.takes_regions)
            known = find_predictions(session, model.model_version_id, pictures, with_vectors=model.stores_vectors)
            unknown = [picture for picture in pictures if picture not in known]
            found = vectors.find_of_backbone(session, model.model_version_id, unknown)
        return _Work(model, pictures, list(known), now, found)

    def _work(self, message: ChunkMessage, work: _Work) -> Recorded:
        outcomes = {picture: Outcome(is_known=True) for picture in work.known}
        if work.vectors:
            with self._models.using(work.model.ref) as model:
                answers = self._heads.answer(model.artifact, work.vectors)
            taxonomy = model.artifact.taxonomy
            outcomes |= {
                picture: Outcome(new_prediction=_to_prediction(answer, taxonomy)) for picture, answer in answers.items()
            }
        unpredicted = [picture for picture in work.pictures if picture not in outcomes]
        early = _EarlyRecords(partial(self._record_early, message, work), work.model.takes_regions)
        with self._in_flight.reserving(work.model.ref, unpredicted) as split:
            if split.to_compute:
                with self._models.using(work.model.ref) as model:
                    self._compute(model, split.to_compute, split.reservation.outcomes, message, early)
                # End the reservation before waiting for other chunks. Otherwise two chunks may wait for each other.
                split.reservation.end()
            outcomes |= split.reservation.outcomes
            outcomes |= {
                picture: reservation.wait_for_outcome(picture)
                for picture, reservation in split.computed_elsewhere.items()
            }
            recorded = self._record_outcomes(message, work, early.without_recorded(outcomes))
        return replace(recorded, finished_items=recorded.finished_items + early.finished_items)

    def _record_outcomes(self, message: ChunkMessage, work: _Work, outcomes: Mapping[PictureKey, Outcome]) -> Recorded:
        return self._record(
            lambda session: record(session, message, work.model, outcomes, self._policy, utc_now(), work.taken_at)
        )

    def _record_early(self, message: ChunkMessage, work: _Work, outcomes: Mapping[PictureKey, Outcome]) -> int:
        """Record some of the outcomes, and return how many items reached their final state."""
        recorded = self._record_outcomes(message, work, outcomes)
        dispatch(self._database, self._broker, recorded.next_chunks)
        return recorded.finished_items

    def _compute(
        self,
        model: LoadedModel,
        pictures: Sequence[PictureKey],
        outcomes: dict[PictureKey, Outcome],
        message: ChunkMessage,
        early: _EarlyRecords,
    ) -> None:
        """Decode and predict pictures, and put the outcome of each into `outcomes`."""
        interactive = message.queue == Queue.INTERACTIVE
        decode_began, infer_began = time.time_ns(), 0
        submitted: deque[tuple[list[tuple[PictureKey, DecodedPicture]], Future[list[Answer | ModelFailed]]]] = deque()

        def collect() -> None:
            decoded_pictures, future = submitted.popleft()
            for (picture, decoded), result in zip(decoded_pictures, future.result(), strict=True):
                outcomes[picture] = _outcome(result, decoded.info, model.artifact.taxonomy)
            early.record_if_due(outcomes)

        for call in self._decoders.decode(pictures, model.artifact.input, message.job_id, interactive=interactive):
            decoded_pictures: list[tuple[PictureKey, DecodedPicture]] = []
            for picture, decoded in call:
                if isinstance(decoded, DecodedPicture):
                    decoded_pictures.append((picture, decoded))
                else:
                    outcomes[picture] = Outcome(error=decoded)
            if decoded_pictures:
                infer_began = infer_began or time.time_ns()
                submitted.append(
                    (decoded_pictures, self._predict(model, [decoded for _, decoded in decoded_pictures], message))
                )
            while submitted and submitted[0][1].done():
                collect()
        record_span("decode", decode_began, {"lookbook.pictures": len(pictures)})
        while submitted:
            collect()
        if infer_began:
            record_span("infer", infer_began, {"lookbook.model": str(model.artifact.ref)})

    def _predict(
        self, model: LoadedModel, decoded_pictures: Sequence[DecodedPicture], message: ChunkMessage
    ) -> Future[list[Answer | ModelFailed]]:
        """Submit pictures to the batcher. Their pixels are released when the prediction has ended."""
        pixels = [decoded.pixels for decoded in decoded_pictures]
        future = model.batcher.submit(pixels, message.job_id, interactive=message.queue == Queue.INTERACTIVE)

        def release(_: object) -> None:
            for decoded in decoded_pictures:
                decoded.release()

        future.add_done_callback(release)
        return future


def _outcome(result: Answer | ModelFailed, info: PictureInfo, taxonomy: Taxonomy) -> Outcome:
    if isinstance(result, ModelFailed):
        return Outcome(error=result, info=info)
    return Outcome(new_prediction=_to_prediction(result, taxonomy), info=info)


def _to_prediction(answer: Answer, taxonomy: Taxonomy) -> NewPrediction:
    """Return the prediction of an answer, whose scores are in the order of the taxonomy."""
    scores = answer.scores
    top = int(scores.argmax())
    label = taxonomy.labels[top]
    return NewPrediction(
        scores=scores.tolist(),
        label=label.id,
        label_group=label.group,
        confidence=float(scores[top]),
        vector=None if answer.embedding is None else encode(answer.embedding),
    )

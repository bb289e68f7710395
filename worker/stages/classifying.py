"""The way of a picture through the worker: decode -> batch -> predict -> record."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

import structlog

from broker.client import Broker
from classifier.taxonomy import Taxonomy
from core.clock import utc_now
from core.errors import ModelFailed
from core.messages import ChunkMessage, Queue
from core.types import ModelRef, PictureInfo, PictureKey
from db.database import Database
from db.steps import chunks
from db.steps.chunks import ChunkPolicy
from db.steps.recording import NewPrediction, Outcome, Recorded, find_predictions, record
from db.views import items, jobs
from worker.decoding.pool import DecodedPicture, DecoderPool
from worker.leases import HeldLeases
from worker.predicting.batcher import Scores
from worker.predicting.models import LoadedModel, ModelCache
from worker.stages.in_flight import PicturesInFlight
from worker.stages.stage import ChunkStage

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Work:
    """A chunk that was taken up: what of it is still to be classified, and by what."""

    model_version_id: int
    model: ModelRef
    pictures: list[PictureKey]
    known: list[PictureKey]
    """Those among the pictures whose prediction is in the database."""
    taken_at: datetime


class ClassifyStage(ChunkStage[_Work]):
    """Classifies chunks."""

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

    def _take(self, message: ChunkMessage) -> _Work | None:
        now = utc_now()
        with self._database.writing() as session:
            if not chunks.take(session, message.chunk_id, self._leases.worker, self._policy, now):
                return None
            job = jobs.read_job_model(session, message.job_id)
            if job is None:
                return None
            pictures = items.list_pending_pictures(session, message.chunk_id)
            known = find_predictions(session, job.model_version_id, pictures)
        return _Work(job.model_version_id, job.model, pictures, list(known), now)

    def _work(self, message: ChunkMessage, work: _Work) -> Recorded:
        outcomes = {picture: Outcome(is_known=True) for picture in work.known}
        unpredicted = [picture for picture in work.pictures if picture not in outcomes]
        with self._in_flight.claiming(work.model, unpredicted) as split:
            if split.to_compute:
                with self._models.using(work.model) as model:
                    self._compute(model, split.to_compute, split.claim.outcomes, message)
                split.claim.end()
            outcomes |= split.claim.outcomes
            outcomes |= {
                picture: claim.wait_for_outcome(picture) for picture, claim in split.computed_elsewhere.items()
            }
            return self._record(
                lambda session: record(
                    session, message, work.model_version_id, outcomes, self._policy, utc_now(), work.taken_at
                )
            )

    def _compute(
        self,
        model: LoadedModel,
        pictures: Sequence[PictureKey],
        outcomes: dict[PictureKey, Outcome],
        message: ChunkMessage,
    ) -> None:
        """Find out the outcome of each picture."""
        interactive = message.queue == Queue.INTERACTIVE
        predicting: list[tuple[list[tuple[PictureKey, DecodedPicture]], Future[list[Scores | ModelFailed]]]] = []
        for call in self._decoders.decode(pictures, model.artifact.input, message.job_id, interactive=interactive):
            ready: list[tuple[PictureKey, DecodedPicture]] = []
            for picture, decoded in call:
                if isinstance(decoded, DecodedPicture):
                    ready.append((picture, decoded))
                else:
                    outcomes[picture] = Outcome(error=decoded)
            if ready:
                predicting.append((ready, self._predict(model, [decoded for _, decoded in ready], message)))
        for ready, future in predicting:
            for (picture, decoded), found in zip(ready, future.result(), strict=True):
                outcomes[picture] = _outcome(found, decoded.info, model.artifact.taxonomy)

    def _predict(
        self, model: LoadedModel, ready: Sequence[DecodedPicture], message: ChunkMessage
    ) -> Future[list[Scores | ModelFailed]]:
        """Have pictures predicted, and their pixels let go of afterwards."""
        pixels = [decoded.pixels for decoded in ready]
        future = model.batcher.submit(pixels, message.job_id, interactive=message.queue == Queue.INTERACTIVE)

        def let_go(_: object) -> None:
            for decoded in ready:
                decoded.release()

        future.add_done_callback(let_go)
        return future


def _outcome(found: Scores | ModelFailed, info: PictureInfo, taxonomy: Taxonomy) -> Outcome:
    if isinstance(found, ModelFailed):
        return Outcome(error=found, info=info)
    return Outcome(new_prediction=interpret(found, taxonomy), info=info)


def interpret(scores: Scores, taxonomy: Taxonomy) -> NewPrediction:
    """Softmax scores, float32 [labels] in the taxonomy's order, as a prediction."""
    top = int(scores.argmax())
    label = taxonomy.labels[top]
    return NewPrediction(
        scores=scores.tolist(),
        label=label.id,
        label_group=label.group,
        confidence=float(scores[top]),
    )

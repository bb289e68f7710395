"""The way of a picture through the worker: decode -> batch -> predict -> record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

import structlog

from broker.client import Broker
from broker.dispatch import announce_end, dispatch
from classifier.taxonomy import Taxonomy
from core.clock import utc_now
from core.errors import ModelFailed
from core.messages import ChunkMessage, Queue
from core.types import ModelRef, PictureInfo, PictureKey
from db import chunks, items, jobs
from db.chunks import ChunkPolicy
from db.engine import Database
from db.recording import Outcome, Recorded, Scored, find_predictions, record
from worker.batcher import Scores
from worker.decoders import Decoders, Ready
from worker.in_flight import InFlight
from worker.leases import Gate, Leases, while_database_is_away
from worker.models import LoadedModel, Models

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


class Pipeline:
    """Classifies chunks. One for a whole worker process, used by all its threads."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        models: Models,
        decoders: Decoders,
        leases: Leases,
        policy: ChunkPolicy,
    ) -> None:
        self._database = database
        self._broker = broker
        self._models = models
        self._decoders = decoders
        self._leases = leases
        self._policy = policy
        self._in_flight = InFlight()
        self._gate = Gate()

    def classify(self, message: ChunkMessage) -> int:
        """Classify the items of a chunk and record them; how many became terminal by it.

        A chunk that was recorded or canceled, or that somebody has in hand, is nothing to do: 0. If it cannot be
        finished, it is given back before the error is raised.
        """
        with self._gate.passing(alone=message.alone):
            work = self._take(message)
            if work is None:
                return 0
            with self._leases.attempt(message):
                return self._work(message, work)

    def _take(self, message: ChunkMessage) -> _Work | None:
        now = utc_now()
        with self._database.writing() as session:
            if not chunks.take(session, message.chunk_id, self._leases.worker, self._policy, now):
                return None
            job = jobs.work_of(session, message.job_id)
            if job is None:
                return None
            pictures = items.pending_pictures(session, message.chunk_id)
            known = find_predictions(session, job.model_version_id, pictures)
        return _Work(job.model_version_id, job.model, pictures, list(known), now)

    def _work(self, message: ChunkMessage, work: _Work) -> int:
        outcomes = {picture: Outcome(known=True) for picture in work.known}
        to_compute = [picture for picture in work.pictures if picture not in outcomes]
        with self._in_flight.sharing(work.model, to_compute) as share:
            if share.mine:
                with self._models.using(work.model) as model:
                    self._compute(model, share.mine, share.claim.outcomes, message)
                share.claim.end()
            outcomes |= share.claim.outcomes
            outcomes |= {picture: claim.wait_for(picture) for picture, claim in share.others.items()}
            recorded = self._record(message, work, outcomes)
        dispatch(self._database, self._broker, recorded.next_chunks)
        if recorded.job_terminal:
            announce_end(self._broker, message.job_id, webhook=recorded.webhook, many=recorded.many)
        return recorded.items

    def _compute(
        self,
        model: LoadedModel,
        pictures: Sequence[PictureKey],
        outcomes: dict[PictureKey, Outcome],
        message: ChunkMessage,
    ) -> None:
        """Find out the outcome of each picture."""
        interactive = message.queue == Queue.INTERACTIVE
        predicting: list[tuple[list[tuple[PictureKey, Ready]], Future[list[Scores | ModelFailed]]]] = []
        for call in self._decoders.decode(pictures, model.artifact.input, message.job_id, interactive=interactive):
            ready: list[tuple[PictureKey, Ready]] = []
            for picture, decoded in call:
                if isinstance(decoded, Ready):
                    ready.append((picture, decoded))
                else:
                    outcomes[picture] = Outcome(error=decoded)
            if ready:
                predicting.append((ready, self._predict(model, [decoded for _, decoded in ready], message)))
        for ready, future in predicting:
            for (picture, decoded), found in zip(ready, future.result(), strict=True):
                outcomes[picture] = _outcome(found, decoded.info, model.artifact.taxonomy)

    def _predict(
        self, model: LoadedModel, ready: Sequence[Ready], message: ChunkMessage
    ) -> Future[list[Scores | ModelFailed]]:
        """Have pictures predicted, and their pixels let go of afterwards."""
        pixels = [decoded.pixels for decoded in ready]
        future = model.batcher.submit(pixels, message.job_id, interactive=message.queue == Queue.INTERACTIVE)

        def let_go(_: object) -> None:
            for decoded in ready:
                decoded.release()

        future.add_done_callback(let_go)
        return future

    def _record(self, message: ChunkMessage, work: _Work, outcomes: Mapping[PictureKey, Outcome]) -> Recorded:
        """Record what was computed; a database that is away for a moment does not make it worthless."""
        for attempt in while_database_is_away(self._policy):
            with attempt, self._database.writing() as session:
                return record(session, message, work.model_version_id, outcomes, self._policy, utc_now(), work.taken_at)
        raise AssertionError("either recorded or raised")


def _outcome(found: Scores | ModelFailed, info: PictureInfo, taxonomy: Taxonomy) -> Outcome:
    if isinstance(found, ModelFailed):
        return Outcome(error=found, info=info)
    return Outcome(scored=interpret(found, taxonomy), info=info)


def interpret(scores: Scores, taxonomy: Taxonomy) -> Scored:
    """Softmax scores, float32 [labels] in the taxonomy's order, as a prediction."""
    top = int(scores.argmax())
    label = taxonomy.labels[top]
    return Scored(
        scores=scores.tolist(),
        label=label.id,
        label_group=label.group,
        confidence=float(scores[top]),
    )

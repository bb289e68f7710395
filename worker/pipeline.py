"""The way of a picture through the worker: decode -> batch -> predict -> record."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from datetime import datetime

import structlog

from broker.client import Broker
from broker.dispatch import announce, dispatch
from classifier.taxonomy import Taxonomy
from core.clock import utc_now
from core.errors import ItemError
from core.messages import ChunkMessage, Queue
from core.types import ModelRef, PictureInfo, PictureKey
from db import items, jobs
from db.chunks import ChunkPolicy
from db.engine import Database
from db.recording import Outcome, Scored, find_predictions, record
from worker.batcher import Scores
from worker.decoders import Decoders, Ready
from worker.in_flight import InFlight
from worker.models import LoadedModel, Models

log = structlog.get_logger(__name__)


class Pipeline:
    """Classifies chunks. One for a whole worker process, used by all its threads."""

    def __init__(
        self, database: Database, broker: Broker, models: Models, decoders: Decoders, policy: ChunkPolicy
    ) -> None:
        self._database = database
        self._broker = broker
        self._models = models
        self._decoders = decoders
        self._policy = policy
        self._in_flight = InFlight()

    def classify(self, message: ChunkMessage) -> int:
        """Classify the items of a chunk and record them; how many became terminal by it.

        A chunk that was recorded before, or whose job is gone, is nothing to do: 0.
        """
        taken_at = utc_now()
        with self._database.reading() as session:
            job = jobs.get(session, message.job_id)
            pictures = items.pending_pictures(session, message.chunk_id)
            if job is None or not pictures:
                return 0
            ref = ModelRef(job.model_version.name, job.model_version.version)
            known = find_predictions(session, job.model_version_id, pictures)
        outcomes = {picture: Outcome(known=True) for picture in known}
        to_compute = [picture for picture in pictures if picture not in known]
        with self._in_flight.sharing(ref, to_compute) as share:
            if share.mine:
                with self._models.using(ref) as model:
                    self._compute(model, share.mine, message)
            outcomes |= {picture: future.result() for picture, future in (share.mine | share.others).items()}
            return self._record(message, outcomes, taken_at)

    def _compute(
        self, model: LoadedModel, results: Mapping[PictureKey, Future[Outcome]], message: ChunkMessage
    ) -> None:
        """Give each picture its outcome."""
        interactive = message.queue == Queue.INTERACTIVE
        predicting: list[tuple[PictureKey, PictureInfo, Future[Scores]]] = []
        spec = model.artifact.input
        for call in self._decoders.decode(list(results), spec, message.job_id, interactive=interactive):
            for picture, decoded in call:
                if isinstance(decoded, Ready):
                    future = model.batcher.submit(decoded.pixels, message.job_id, interactive=interactive)
                    future.add_done_callback(decoded.let_go)
                    predicting.append((picture, decoded.info, future))
                else:
                    results[picture].set_result(Outcome(error=decoded))
        for picture, info, future in predicting:
            results[picture].set_result(_outcome(future, info, model.artifact.taxonomy))

    def _record(self, message: ChunkMessage, outcomes: Mapping[PictureKey, Outcome], taken_at: datetime) -> int:
        with self._database.writing() as session:
            recorded = record(session, message, outcomes, self._policy, utc_now(), taken_at)
        dispatch(self._database, self._broker, recorded.next_chunks)
        if recorded.job_terminal:
            announce(self._broker, message.job_id)
        return recorded.items


def _outcome(future: Future[Scores], info: PictureInfo, taxonomy: Taxonomy) -> Outcome:
    try:
        return Outcome(scored=interpret(future.result(), taxonomy), info=info)
    except ItemError as error:
        return Outcome(error=error, info=info)


def interpret(scores: Scores, taxonomy: Taxonomy) -> Scored:
    """Softmax scores, float32 [labels] in the taxonomy's order, as a prediction."""
    top = int(scores.argmax())
    label = taxonomy.labels[top]
    return Scored(
        scores=[float(score) for score in scores],
        label=label.id,
        label_group=label.group,
        confidence=float(scores[top]),
    )

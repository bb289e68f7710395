"""Explain a prediction: make a heat map of where in the picture the model saw the label."""

from __future__ import annotations

import structlog

from broker.client import Broker
from broker.dispatch import announce
from classifier.explanation import heat_map
from core.errors import BlobMissing, BlobStoreUnavailable, StorageFull
from core.types import ModelRef
from db.blobs.store import BlobStore, explanation_name
from db.database import Database
from db.tables import Prediction
from db.views import items
from worker.decoding.pool import DecodedPicture, DecoderPool
from worker.predicting.models import ModelCache

log = structlog.get_logger(__name__)


class Explainer:
    """Makes the heat map of a prediction's top label and stores it beside the blob."""

    def __init__(
        self, database: Database, broker: Broker, models: ModelCache, decoders: DecoderPool, blobs: BlobStore
    ) -> None:
        self._database = database
        self._broker = broker
        self._models = models
        self._decoders = decoders
        self._blobs = blobs

    def explain(self, item_id: str, prediction_id: str) -> None:
        """Make the heat map of an item or of its region unless it exists, and wake the request that waits for it.

        Do nothing for an unknown item or prediction. If the picture cannot be read or the heat map cannot be stored
        now, only log it, because the client asks again.
        """
        with self._database.reading() as session:
            item = items.get(session, item_id)
            prediction = session.get(Prediction, prediction_id)
            if item is None or prediction is None:
                return
            ref = ModelRef.parse(item.job.model_version.ref)
        name = explanation_name(prediction.id)
        try:
            if self._blobs.read_derived(prediction.blob_sha256, name) is None:
                self._blobs.put_derived(prediction.blob_sha256, name, self._heat_map(prediction, ref, item.job_id))
        except (BlobMissing, BlobStoreUnavailable, StorageFull) as error:
            log.warning("explanation_not_stored", item=item_id, reason=str(error))
            return
        announce(self._broker, prediction_id)

    def _heat_map(self, prediction: Prediction, ref: ModelRef, job_id: str) -> bytes:
        with self._models.using(ref) as model:
            spec = model.artifact.input
            picture = (prediction.blob_sha256, prediction.crop_key)
            ((_, decoded),) = next(self._decoders.decode([picture], spec, job_id, interactive=True))
            if not isinstance(decoded, DecodedPicture):
                raise decoded
            try:
                maps = model.runtime.activation_maps(decoded.pixels)
            finally:
                decoded.release()
            top = model.artifact.taxonomy.label_ids.index(prediction.label)
            return heat_map(maps[:, :, top], spec.size, decoded.info, decoded.seen)

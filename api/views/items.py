"""Items and their pictures."""

from __future__ import annotations

import structlog
from apiflask import APIBlueprint
from flask import Response, send_file

from api.answers.present import ItemPresenter
from api.answers.problems import Problem
from api.answers.spec import EXPLANATION_RESPONSE, PICTURE_RESPONSE, THUMBNAIL_RESPONSE
from api.door.access import require_item
from api.schemas.common import Answer
from api.schemas.items import ItemOut, SimilarItemsOut, SimilarOut, SimilarQuery
from api.services import current_services
from broker.client import EXPLANATION_SECONDS
from core.clock import utc_now
from core.errors import BlobStoreUnavailable, StorageFull
from core.pictures import thumbnail
from db.blobs.store import THUMBNAIL, explanation_name
from db.steps import linking
from db.tables import ItemStatus, Prediction
from db.views.job import poll_seconds

log = structlog.get_logger(__name__)

bp = APIBlueprint("items", __name__, tag="Items")

_FOREVER = "private, max-age=31536000, immutable"
_MEDIA_TYPES = {f: f"image/{f}" for f in ("jpeg", "png", "webp", "gif", "avif", "bmp")}


@bp.get("/v1/items/<item_id>")
@bp.output(ItemOut)
@bp.doc(summary="One item", operation_id="get_item")
def get_item(item_id: str) -> Answer:
    with current_services().database.reading() as session:
        item = require_item(session, item_id)
        seconds = poll_seconds(item.job.pending, item.job.rate)
        headers = {"Retry-After": str(seconds)} if item.status == ItemStatus.PENDING else {}
        return ItemPresenter(item.job).item_out(item), 200, headers


@bp.get("/v1/items/<item_id>/similar")
@bp.input(SimilarQuery, location="query")
@bp.output(SimilarItemsOut)
@bp.doc(summary="Where the item's picture was seen before", operation_id="list_similar_items")
def list_similar(item_id: str, query_data: SimilarQuery) -> Answer:
    """Items of earlier jobs of the same owner that show the same picture, newest first.

    The same means the same bytes, or another size, format or quality of the same photo. Pictures of other bytes are
    found once the job that they came with is over.
    """
    with current_services().database.reading() as session:
        found = linking.find_similar(session, require_item(session, item_id), utc_now(), query_data.limit)
        data = [SimilarOut(distance=one.distance, item=ItemPresenter(one.item.job).item_out(one.item)) for one in found]
        return SimilarItemsOut(data=data)


@bp.get("/v1/items/<item_id>/thumbnail")
@bp.doc(summary="The item's picture, small", operation_id="get_thumbnail", responses=THUMBNAIL_RESPONSE)
def get_thumbnail(item_id: str) -> Answer:
    """JPEG, re-encoded, long side at most 320 px. Made when first asked for.

    Only pictures that a decoder process has opened before are opened here.
    """
    with current_services().database.reading() as session:
        item = require_item(session, item_id)
        sha256 = item.blob_sha256
    if sha256 is None or item.status != ItemStatus.SUCCEEDED:
        raise Problem(404, "no_thumbnail", f"only succeeded items have a thumbnail; this one is {item.status}")
    blobs = current_services().blobs
    data = blobs.read_derived(sha256, THUMBNAIL)
    if data is None:
        data = thumbnail(blobs.read(sha256))
        try:
            blobs.put_derived(sha256, THUMBNAIL, data)
        except (StorageFull, BlobStoreUnavailable) as error:
            # It is made again the next time.
            log.warning("thumbnail_not_kept", reason=str(error))
    return Response(data, content_type="image/jpeg", headers={"Cache-Control": _FOREVER})


@bp.get("/v1/items/<item_id>/explanation")
@bp.doc(summary="What the model looked at", operation_id="get_explanation", responses=EXPLANATION_RESPONSE)
def get_explanation(item_id: str) -> Answer:
    """A heat map of the places that speak for the item's top label: PNG with transparency, to be laid over the picture.

    It has the picture's shape, its long side at most 320 px. A worker makes it when it is first asked for.
    """
    with current_services().database.reading() as session:
        item = require_item(session, item_id)
        prediction = item.prediction
    if prediction is None:
        raise Problem(404, "no_explanation", f"only succeeded items have an explanation; this one is {item.status}")
    data = _explanation(item_id, prediction)
    if data is None:
        detail = f"no worker has explained it within {EXPLANATION_SECONDS:g} s; try again"
        raise Problem(503, "explanation_late", detail, headers={"Retry-After": "2"})
    return Response(data, content_type="image/png", headers={"Cache-Control": _FOREVER})


def _explanation(item_id: str, prediction: Prediction) -> bytes | None:
    blobs, broker, name = current_services().blobs, current_services().broker, explanation_name(prediction.id)
    data = blobs.read_derived(prediction.blob_sha256, name)
    if data is not None:
        return data
    with broker.waiting_for(item_id) as wait:
        broker.queue_explanation(item_id)
        wait.wait(EXPLANATION_SECONDS)
    return blobs.read_derived(prediction.blob_sha256, name)


@bp.get("/v1/items/<item_id>/image")
@bp.doc(summary="The item's picture, as it came", operation_id="get_image", responses=PICTURE_RESPONSE)
def get_image(item_id: str) -> Answer:
    with current_services().database.reading() as session:
        item = require_item(session, item_id)
        blob = item.blob
    if blob is None:
        raise Problem(404, "no_image", "the bytes of this item were refused and are not kept")
    # What no decoder has opened is nothing that a browser should try to show.
    media_type = _MEDIA_TYPES.get(blob.format or "")
    response = send_file(
        current_services().blobs.open(blob.sha256),
        mimetype=media_type or "application/octet-stream",
        as_attachment=media_type is None,
        download_name=blob.sha256,
        etag=blob.sha256,
        conditional=True,
    )
    response.headers["Cache-Control"] = _FOREVER
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response

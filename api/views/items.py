"""Items and their pictures, thumbnails and explanations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import cast

import structlog
from apiflask import APIBlueprint
from flask import Response, redirect, request

from api.answers.files import is_current, not_modified, revalidated, send_range
from api.answers.present import ItemPresenter
from api.answers.problems import Problem, not_found_problem
from api.answers.spec import EXPLANATION_RESPONSE, PICTURE_RESPONSE, THUMBNAIL_RESPONSE
from api.connections.turns import lend_turn
from api.door.access import caller, require_item
from api.schemas.common import Answer
from api.schemas.items import (
    DuplicatesQuery,
    ExplanationQuery,
    ImageQuery,
    ItemDuplicateOut,
    ItemDuplicatesOut,
    ItemOut,
    SignatureQuery,
)
from api.services import current_services
from broker.client import EXPLANATION_SECONDS
from core.clock import utc_now
from core.errors import BlobStoreUnavailable, StorageFull
from core.pictures import PictureLimits, format_names, thumbnail, whole_jpeg
from db.blobs.store import THUMBNAIL, WHOLE_JPEG, explanation_name
from db.steps import linking
from db.tables import Item, ItemRegion, ItemStatus, Prediction
from db.views import jobs
from db.views.job import poll_seconds

log = structlog.get_logger(__name__)

bp = APIBlueprint("items", __name__, tag="Items")

STORE_URL_LIFE = timedelta(seconds=60)
"""How long a URL of the bucket works. It is short, because the bucket does not know when an item is deleted."""
_MEDIA_TYPES = {name: f"image/{name}" for name in format_names()}


@bp.get("/v1/items/<item_id>")
@bp.output(ItemOut)
@bp.doc(summary="Get an item", operation_id="get_item")
def get_item(item_id: str) -> Answer:
    with current_services().database.reading() as session:
        item = require_item(session, item_id)
        body = ItemPresenter(item.job).item_out(item)
        if item.status != ItemStatus.PENDING:
            return body, 200, {}
        body.ahead = jobs.count_ahead(session, item.job)
        return body, 200, {"Retry-After": str(poll_seconds(item.job.pending, item.job.rate))}


@bp.get("/v1/items/<item_id>/duplicates")
@bp.input(DuplicatesQuery, location="query")
@bp.output(ItemDuplicatesOut)
@bp.doc(
    summary="List earlier items with the same picture",
    description="Items of earlier jobs of the same owner, newest first. The same picture means identical bytes, or the "
    "same photo in another size, format or quality. Pictures with different bytes are found only after their job has "
    "ended.",
    operation_id="list_item_duplicates",
)
def list_duplicates(item_id: str, query_data: DuplicatesQuery) -> Answer:
    with current_services().database.reading() as session:
        matches = linking.find_earlier(session, require_item(session, item_id), utc_now(), query_data.limit)
        data = [
            ItemDuplicateOut(distance=match.distance, item=ItemPresenter(match.item.job).item_out(match.item))
            for match in matches
        ]
        return ItemDuplicatesOut(data=data)


@bp.get("/v1/items/<item_id>/thumbnail")
@bp.input(SignatureQuery, location="query")
@bp.doc(
    summary="Get the thumbnail of an item",
    description="It is created at the first request.",
    operation_id="get_thumbnail",
    responses=THUMBNAIL_RESPONSE,
)
def get_thumbnail(item_id: str, query_data: SignatureQuery) -> Answer:
    with current_services().database.reading() as session:
        item = require_item(session, item_id)
        sha256 = item.blob_sha256
    if sha256 is None or item.status != ItemStatus.SUCCEEDED:
        raise Problem(404, "no_thumbnail", f"Only succeeded items have a thumbnail. This item is {item.status}.")
    return _derived_jpeg(sha256, THUMBNAIL, thumbnail)


def _derived_jpeg(sha256: str, name: str, make: Callable[..., bytes]) -> Response:
    """Return a JPEG that is made of a blob at the first request."""
    etag = f"{sha256}-{name}"
    if is_current(etag):
        return not_modified(etag)
    blobs = current_services().blobs
    data = blobs.read_derived(sha256, name)
    if data is None:
        # A decoder process has decoded this picture before, because its item has succeeded. It is safe to open here.
        data = make(blobs.read(sha256), limits=PictureLimits.of(current_services().settings))
        try:
            blobs.put_derived(sha256, name, data)
        except (StorageFull, BlobStoreUnavailable) as error:
            # The next request creates it again.
            log.warning("derived_picture_not_stored", name=name, reason=str(error))
    return revalidated(Response(data, content_type="image/jpeg"), etag)


@bp.get("/v1/items/<item_id>/explanation")
@bp.input(ExplanationQuery, location="query")
@bp.doc(
    summary="Get the heat map of an item",
    description="It shows which parts of the picture support the top label. It can be laid over the picture and "
    "has the same proportions. A worker creates it at the first request. `region` asks for the heat map of a region.",
    operation_id="get_explanation",
    responses=EXPLANATION_RESPONSE,
)
def get_explanation(item_id: str, query_data: ExplanationQuery) -> Answer:
    with current_services().database.reading() as session:
        item = require_item(session, item_id)
        prediction = item.prediction if query_data.region is None else _region(item, query_data.region).prediction
    if prediction is None:
        raise Problem(404, "no_explanation", f"Only succeeded items have an explanation. This item is {item.status}.")
    etag = f"{prediction.id}-explanation"
    if is_current(etag):
        return not_modified(etag)
    data = _explanation(item_id, prediction)
    if data is None:
        detail = f"No worker has created the explanation within {EXPLANATION_SECONDS:g} seconds. Try again later."
        raise Problem(503, "explanation_late", detail, headers={"Retry-After": "2"})
    return revalidated(Response(data, content_type="image/png"), etag)


def _store_url(sha256: str) -> Response | None:
    """Return a redirect to the bucket's own URL of a blob, if the settings want one. None: the API sends the bytes."""
    services = current_services()
    url = services.blobs.presigned_url(sha256, STORE_URL_LIFE) if services.settings.s3_redirect else None
    if url is None:
        return None
    response = redirect(url, HTTPStatus.FOUND)
    # The next request asks here again, so that a deleted item or an expired URL shows nothing.
    response.headers["Cache-Control"] = "no-store"
    return cast(Response, response)


def _region(item: Item, name: str) -> ItemRegion:
    for region in item.regions:
        if region.name == name:
            return region
    raise not_found_problem("region", name)


def _explanation(item_id: str, prediction: Prediction) -> bytes | None:
    blobs, broker, name = current_services().blobs, current_services().broker, explanation_name(prediction.id)
    data = blobs.read_derived(prediction.blob_sha256, name)
    if data is not None:
        return data
    with broker.waiting_for(prediction.id) as wait:
        broker.queue_explanation(item_id, prediction.id)
        with lend_turn():
            wait.wait(EXPLANATION_SECONDS)
    return blobs.read_derived(prediction.blob_sha256, name)


@bp.get("/v1/items/<item_id>/image")
@bp.input(ImageQuery, location="query")
@bp.doc(
    summary="Get the original picture of an item",
    description="With `format=jpeg`, a succeeded item answers with its whole picture as a JPEG.",
    operation_id="get_image",
    responses=PICTURE_RESPONSE,
)
def get_image(item_id: str, query_data: ImageQuery) -> Answer:
    with current_services().database.reading() as session:
        item = require_item(session, item_id)
        blob = item.blob
    if blob is None:
        raise Problem(404, "no_image", "The bytes of this item were refused and not stored.")
    if query_data.format is not None:
        if item.status != ItemStatus.SUCCEEDED:
            raise Problem(404, "no_image", f"Only succeeded items can be shown as a JPEG. This item is {item.status}.")
        return _derived_jpeg(blob.sha256, WHOLE_JPEG, whole_jpeg)
    # A browser should not try to show bytes that no decoder has recognised as a picture.
    media_type = _MEDIA_TYPES.get(blob.format or "")
    if is_current(blob.sha256):
        return not_modified(blob.sha256)
    if media_type is not None and caller().signed_item is not None and request.method == "GET":
        store_url = _store_url(blob.sha256)
        if store_url is not None:
            return store_url
    file = current_services().blobs.open(blob.sha256)
    response = send_range(file, blob.bytes, media_type or "application/octet-stream", blob.sha256)
    if media_type is None:
        response.headers.set("Content-Disposition", "attachment", filename=blob.sha256)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response

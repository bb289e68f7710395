"""Signed URLs of pictures, for tools and pages that cannot send a key."""

from __future__ import annotations

from datetime import timedelta

from apiflask import APIBlueprint

from api.door.access import require_item
from api.door.signed_pictures import url_signer
from api.schemas.common import Answer
from api.schemas.items import PictureUrlsOut, PictureUrlsQuery
from api.services import current_services
from core.clock import utc_now

bp = APIBlueprint("picture_urls", __name__, tag="Items")


@bp.get("/v1/items/<item_id>/picture-urls")
@bp.input(PictureUrlsQuery, location="query")
@bp.output(PictureUrlsOut)
@bp.doc(
    summary="Get URLs that show the picture of an item without a key",
    description="Everyone who has such a URL may see this picture until it expires. Deleting the item's job ends it at "
    "once. Exports can contain the URLs of all their items.",
    operation_id="get_picture_urls",
    responses={404: "There is no such item", 410: "The job has expired"},
)
def get_picture_urls(item_id: str, query_data: PictureUrlsQuery) -> Answer:
    expires_at = utc_now().replace(microsecond=0) + timedelta(seconds=query_data.expires_in)
    with current_services().database.reading() as session:
        item = require_item(session, item_id)
        urls = url_signer(expires_at)(item.id, item.status, item.blob.format if item.blob else None)
    body = PictureUrlsOut(
        original=None if item.blob_sha256 is None else urls.original,
        shown=urls.shown,
        thumbnail=urls.thumbnail,
        expires_at=expires_at,
    )
    return body, 200, {"Cache-Control": "no-store"}

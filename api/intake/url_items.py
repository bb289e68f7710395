"""Reads pictures that are submitted in JSON: by URL, with all checks that need no download, or as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from api.answers.problems import validate_json
from api.intake.inline_pictures import store_inline
from api.schemas.common import crop_of
from api.schemas.items import PictureIn
from api.schemas.jobs import AnyCropIn, ItemIn
from api.schemas.products import product_values
from api.services import current_services
from core.fetching import Fetcher
from core.fetching.urls import MAX_URL, parse_url
from core.item_errors import BadCrop, ItemError
from core.types import Crop, Region
from db.steps.submitting import NewItem, StoredBlob

_MAX_CROP_KEY = 80
"""Characters that the database column of a crop holds."""


def read_items(items: Sequence[ItemIn]) -> list[NewItem]:
    """Return the items of a request. Items whose URL can never be fetched have their error already.

    Raises:
        RequestEntityTooLarge: the request has too many items.
    """
    settings = current_services().settings
    if len(items) > settings.max_request_files:
        raise RequestEntityTooLarge(f"Expected at most {settings.max_request_files} items, got {len(items)}.")
    stored = store_inline([item.image for item in items])
    with Fetcher(allow=settings.fetch_allow) as fetcher:
        pairs = zip(items, stored, strict=True)
        return [_new_item(item, number, blob, fetcher) for number, (item, blob) in enumerate(pairs)]


PictureT = TypeVar("PictureT", bound=PictureIn)


def read_json_picture(model: type[PictureT]) -> tuple[PictureT, NewItem]:
    """Return the options and the picture of the current request, which is JSON.

    Raises:
        Problem: 400 or 422, the body is not valid.
        ItemError: the URL can never be fetched, or the text is no picture.
        StorageFull, BlobStoreUnavailable: the picture cannot be stored.
    """
    body = validate_json(model, request.get_data())
    if body.url is None:
        (stored,) = store_inline([body.image])
        if isinstance(stored, ItemError):
            raise stored
        return body, NewItem("unnamed", stored, crop_of(body.crop))
    target = parse_url(body.url)
    with Fetcher(allow=current_services().settings.fetch_allow) as fetcher:
        fetcher.check_without_lookup(target)
    return body, NewItem(target.name, None, crop_of(body.crop), source_url=body.url)


def _new_item(item: ItemIn, number: int, stored: StoredBlob | ItemError | None, fetcher: Fetcher) -> NewItem:
    name, crop, error = item.custom_id or f"image {number + 1}", None, None
    regions: tuple[Region, ...] = ()
    try:
        if item.url is not None:
            name = item.url[:MAX_URL]
            target = parse_url(item.url)
            name = target.name
            fetcher.check_without_lookup(target)
        elif isinstance(stored, ItemError):
            raise stored
        crop = None if item.crop is None else _checked_crop(item.crop)
        regions = tuple(Region(region.name, _checked_crop(region.box)) for region in item.regions or ())
    except ItemError as item_error:
        error = item_error
    # A text that is not a URL may have any length and any characters. The database takes neither.
    url = None if item.url is None else item.url[:MAX_URL].replace("\0", "\N{REPLACEMENT CHARACTER}")
    product = product_values(item.product) if item.product is not None else None
    provenance = {"page_url": item.page_url, "alt": item.alt, "product": product}
    given = {name: value for name, value in provenance.items() if value is not None}
    blob = stored if error is None and isinstance(stored, StoredBlob) else None
    name = name.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return NewItem(name, blob, crop, error, item.custom_id, url, given or None, item.metadata, regions=regions)


def _checked_crop(crop_in: AnyCropIn) -> Crop:
    crop = Crop(crop_in.x, crop_in.y, crop_in.width, crop_in.height)
    if min(crop.x, crop.y) < 0 or min(crop.width, crop.height) < 1 or len(crop.key) > _MAX_CROP_KEY:
        raise BadCrop(f"expected x and y from 0 and a width and height from 1, got {crop.key}")
    return crop

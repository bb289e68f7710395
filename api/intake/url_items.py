"""Reads pictures that are submitted by URL, and checks what can be checked before a download."""

from __future__ import annotations

from collections.abc import Sequence

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from api.answers.problems import validate_json
from api.schemas.common import crop_of, regions_of
from api.schemas.items import ClassificationIn
from api.schemas.jobs import AnyCropIn, ItemIn
from api.schemas.products import product_values
from api.services import current_services
from core.errors import BadCrop, ItemError
from core.fetching import Fetcher
from core.fetching.urls import MAX_URL, parse_url
from core.types import Crop, Region
from db.steps.submitting import NewItem

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
    with Fetcher(allow=settings.fetch_allow) as fetcher:
        return [_new_item(item, fetcher) for item in items]


def read_classification() -> tuple[ClassificationIn, NewItem]:
    """Return the options and the picture of the current request.

    Raises:
        Problem: 400 or 422, the body is not valid.
        ItemError: the URL can never be fetched.
    """
    body = validate_json(ClassificationIn, request.get_data())
    target = parse_url(body.url)
    with Fetcher(allow=current_services().settings.fetch_allow) as fetcher:
        fetcher.check_without_lookup(target)
    regions = regions_of(body.regions)
    return body, NewItem(target.name, None, crop_of(body.crop), source_url=body.url, regions=regions)


def _new_item(item: ItemIn, fetcher: Fetcher) -> NewItem:
    name, crop, error = "", None, None
    regions: tuple[Region, ...] = ()
    try:
        target = parse_url(item.url)
        name = target.name
        fetcher.check_without_lookup(target)
        crop = None if item.crop is None else _checked_crop(item.crop)
        regions = tuple(Region(region.name, _checked_crop(region.box)) for region in item.regions or ())
    except ItemError as item_error:
        error = item_error
    # A text that is not a URL may have any length and any characters. The database takes neither.
    url = item.url[:MAX_URL].replace("\0", "\N{REPLACEMENT CHARACTER}")
    product = product_values(item.product) if item.product is not None else None
    provenance = {"page_url": item.page_url, "alt": item.alt, "product": product}
    given = {name: value for name, value in provenance.items() if value is not None}
    return NewItem(name or url, None, crop, error, item.custom_id, url, given or None, item.metadata, regions=regions)


def _checked_crop(crop_in: AnyCropIn) -> Crop:
    crop = Crop(crop_in.x, crop_in.y, crop_in.width, crop_in.height)
    if min(crop.x, crop.y) < 0 or min(crop.width, crop.height) < 1 or len(crop.key) > _MAX_CROP_KEY:
        raise BadCrop(f"expected x and y from 0 and a width and height from 1, got {crop.key}")
    return crop

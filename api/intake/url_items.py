"""Pictures that are submitted by their URLs: what can be said of each before anything is downloaded."""

from __future__ import annotations

from collections.abc import Sequence

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from api.answers.problems import validate_json
from api.schemas.common import crop_of
from api.schemas.items import ClassificationIn
from api.schemas.jobs import AnyCropIn, ItemIn
from api.services import current_services
from core.errors import BadCrop, ItemError
from core.fetching import Fetcher
from core.fetching.urls import MAX_URL, parse_url
from core.types import Crop
from db.steps.submitting import NewItem

_LONGEST_CROP_KEY = 80
"""What its column holds."""
_PROVENANCE = ("page_url", "title", "price", "currency", "alt")


def read_items(given: Sequence[ItemIn]) -> list[NewItem]:
    """The items of a request. Those that can never be fetched have their error already.

    Raises:
        RequestEntityTooLarge: there are more than are accepted.
    """
    settings = current_services().settings
    if len(given) > settings.max_request_files:
        raise RequestEntityTooLarge(f"expected at most {settings.max_request_files} items, got {len(given)}")
    with Fetcher(allow=settings.fetch_allow) as fetcher:
        return [_new_item(item, fetcher) for item in given]


def read_classification() -> tuple[ClassificationIn, NewItem]:
    """The options and the one picture of the present request.

    Raises:
        Problem: 400 or 422, its body is not such a classification.
        ItemError: its URL can never be fetched.
    """
    wanted = validate_json(ClassificationIn, request.get_data())
    target = parse_url(wanted.url)
    with Fetcher(allow=current_services().settings.fetch_allow) as fetcher:
        fetcher.check_without_lookup(target)
    return wanted, NewItem(target.name, None, crop_of(wanted.crop), source_url=wanted.url)


def _new_item(item: ItemIn, fetcher: Fetcher) -> NewItem:
    name, crop, error = "", None, None
    try:
        target = parse_url(item.url)
        name = target.name
        fetcher.check_without_lookup(target)
        crop = _crop(item.crop)
    except ItemError as refused:
        error = refused
    # What is not a URL may be anything, at any length.
    url = item.url[:MAX_URL].replace("\0", "\N{REPLACEMENT CHARACTER}")
    known = {member: str(value) for member in _PROVENANCE if (value := getattr(item, member)) is not None}
    return NewItem(name or url, None, crop, error, item.custom_id, url, known or None, item.metadata)


def _crop(given: AnyCropIn | None) -> Crop | None:
    if given is None:
        return None
    crop = Crop(given.x, given.y, given.width, given.height)
    if min(crop.x, crop.y) < 0 or min(crop.width, crop.height) < 1 or len(crop.key) > _LONGEST_CROP_KEY:
        raise BadCrop(f"expected pixels from 0 on and at least one of them, got {crop.key}")
    return crop

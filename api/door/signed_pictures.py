"""Requests for one picture that a signed URL lets in without a key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import request

from api.door.refusals import BadSignature, PictureUrlExpired
from api.identity.picture_urls import EXPIRES, SIGNATURE, Variant
from api.services import current_services
from core.clock import utc_now
from core.pictures import is_shown_by_browsers
from db.access.keys import Caller
from db.tables import ItemStatus, Scope

SIGNED_VIEWS = frozenset({"items.get_image", "items.get_thumbnail"})
"""The views that a signed URL may lead to. Both show the picture of the item in their path, and nothing else."""


def signed_caller() -> Caller | None:
    """Return the caller that the signature of the current request lets in. None: the request is not signed.

    Raises:
        BadSignature, PictureUrlExpired: the URL shows no picture.
    """
    if request.endpoint not in SIGNED_VIEWS or not {EXPIRES, SIGNATURE} & set(request.args):
        return None
    item_id = (request.view_args or {})["item_id"]
    expires_at = current_services().picture_urls.expiry(item_id, _variant(), request.args)
    if expires_at is None:
        raise BadSignature
    if expires_at <= utc_now():
        raise PictureUrlExpired(expires_at)
    return Caller(None, frozenset({Scope.READ}), signed_item=item_id)


def _variant() -> Variant:
    if request.endpoint == "items.get_thumbnail":
        return Variant.THUMBNAIL
    return Variant.JPEG if "format" in request.args else Variant.ORIGINAL


@dataclass(frozen=True, slots=True)
class ItemUrls:
    """The signed URLs of an item, whole, at the host name that the current request uses."""

    original: str
    """The stored bytes, in any format."""
    shown: str | None
    """The whole picture as every browser shows it. None: the item has not succeeded."""
    thumbnail: str | None


def url_signer(expires_at: datetime) -> Callable[[str, ItemStatus, str | None], ItemUrls]:
    """Return a function that signs the URLs of an item: (its id, its status, the format of its picture) -> the URLs.

    The function also works after the current request, while an export is being sent.
    """
    base, urls = request.host_url.rstrip("/"), current_services().picture_urls

    def sign(item_id: str, status: ItemStatus, picture_format: str | None) -> ItemUrls:
        original = base + urls.sign(item_id, Variant.ORIGINAL, expires_at)
        if status != ItemStatus.SUCCEEDED:
            return ItemUrls(original, None, None)
        is_shown = is_shown_by_browsers(picture_format)
        shown = original if is_shown else base + urls.sign(item_id, Variant.JPEG, expires_at)
        return ItemUrls(original, shown, base + urls.sign(item_id, Variant.THUMBNAIL, expires_at))

    return sign

"""Signed URLs of pictures. They show one picture until they expire, without a key, in tools that cannot send one.

The signature is an HMAC-SHA256 over the item, the variant and the expiry, with a secret of this installation. Nothing
is stored for a URL: each request looks the item up again, so that deleting it ends the URL.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property

from db.access.secrets import get_or_create_secret
from db.database import Database

_SECRET_NAME = "picture_urls"
EXPIRES, SIGNATURE = "expires", "signature"
"""The query parameters of a signed URL."""
_MAX_DIGITS = 12
"""Digits of an expiry: enough for every date that `datetime` has."""


class Variant(StrEnum):
    """The form of a picture that a URL shows."""

    ORIGINAL = "original"
    JPEG = "jpeg"
    """The whole picture as a JPEG, for formats that browsers do not show."""
    THUMBNAIL = "thumbnail"


_PATHS = {
    Variant.ORIGINAL: "/v1/items/{}/image?",
    Variant.JPEG: "/v1/items/{}/image?format=jpeg&",
    Variant.THUMBNAIL: "/v1/items/{}/thumbnail?",
}


class PictureUrls:
    """Signs and checks the URLs of one installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @cached_property
    def _secret(self) -> bytes:
        # Read at first use, because the database may not answer yet when the process starts.
        return get_or_create_secret(self._database, _SECRET_NAME, lambda: secrets.token_urlsafe(32)).encode()

    def sign(self, item_id: str, variant: Variant, expires_at: datetime) -> str:
        """Return the path and the query that show a variant of an item's picture until `expires_at`."""
        expires = str(int(expires_at.timestamp()))
        signature = self._signature(item_id, variant, expires)
        return f"{_PATHS[variant].format(item_id)}{EXPIRES}={expires}&{SIGNATURE}={signature}"

    def expiry(self, item_id: str, variant: Variant, query: Mapping[str, str]) -> datetime | None:
        """Return when a signed URL expires, which may be in the past. None: this installation has not signed it."""
        expires, signature = query.get(EXPIRES, ""), query.get(SIGNATURE, "")
        expected = self._signature(item_id, variant, expires)
        is_genuine = hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))
        if not is_genuine or not expires.isdecimal() or len(expires) > _MAX_DIGITS:
            return None
        return datetime.fromtimestamp(int(expires), UTC)

    def _signature(self, item_id: str, variant: Variant, expires: str) -> str:
        # No part can contain a line break and pass for another one: the item's id comes from the path of the request.
        text = f"{variant}\n{expires}\n{item_id}".encode(errors="replace")
        digest = hmac.digest(self._secret, text, hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

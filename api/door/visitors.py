"""Visitors: browsers that a link to one job lets in without a key.

Their cookie holds the token of the link, which each request checks, so that a revoked link stops working.
"""

from __future__ import annotations

from flask import request

from api.door.refusals import ShareEnded, UnknownShare
from api.services import current_services
from db.access import shares
from db.access.keys import Caller

SHARE_COOKIE = "lookbook_share"
OPEN_SHARE = "shares.open_share"
"""The view that a link leads to."""
SHARED_VIEWS = frozenset(
    {
        "pages.job_page",
        "sessions.get_session",
        "jobs.get_job",
        "jobs.get_summary",
        "jobs.list_items",
        "marks.list_marks",
        "exports.export_items",
        "exports.export_job",
        "items.get_item",
        "items.get_thumbnail",
        "items.get_explanation",
        "items.get_image",
        "models.list_labels",
        "products.export_products",
        "products.list_products",
    }
)
"""The views that show a shared job. All of them only read. At all others, the link counts for nothing."""


def share_token() -> str | None:
    """Return the token that the cookie of the current request holds. None: there is none, or the view asks for none."""
    return request.cookies.get(SHARE_COOKIE) if request.endpoint in SHARED_VIEWS else None


def find_visitor() -> Caller | None:
    """Return the caller that the cookie of the current request lets in. None: the view or the cookie lets nobody in."""
    token = share_token()
    return None if token is None else current_services().callers.find_by_share(token)


def open_visitor(token: str) -> Caller:
    """Return the caller that a link lets in.

    Raises:
        UnknownShare, ShareEnded: the link lets nobody in.
    """
    services = current_services()
    visitor = services.callers.find_by_share(token)
    if visitor is not None:
        return visitor
    with services.database.reading() as session:
        raise UnknownShare if shares.find(session, token) is None else ShareEnded(410)

"""Models of links that share a job."""

from __future__ import annotations

from pydantic import Field

from api.schemas.common import Input
from api.schemas.jobs import Future
from db.views.job import Output, Time


class ShareIn(Input):
    """The link to create."""

    expires_at: Future | None = Field(
        None, description="When the link ends (RFC 3339 with a time zone). The default is in seven days."
    )


class ShareOut(Output):
    """A link to a job, without its token."""

    id: str
    by: str | None = Field(description="The key that created the link.")
    created_at: Time
    expires_at: Time
    revoked_at: Time | None


class NewShareOut(ShareOut):
    url: str = Field(description="The path of the link, `/shared/<token>`. Only this answer shows it.")


class SharesOut(Output):
    data: list[ShareOut]
    next_cursor: str | None

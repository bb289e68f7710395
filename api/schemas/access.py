"""Models of API keys and usage."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field, StrictInt

from api.schemas.common import Input
from db.tables import Scope
from db.views.job import Output, Time


def _printable(name: str) -> str:
    # PostgreSQL refuses NUL, and a name has to fit into one line of a list.
    if not name.strip() or not name.isprintable():
        raise ValueError("expected a name of printable characters")
    return name


class KeyIn(Input):
    """The key to create."""

    name: Annotated[str, AfterValidator(_printable)] = Field(max_length=200, examples=["catalog import"])
    scopes: list[Scope] = Field([Scope.SUBMIT, Scope.READ], min_length=1)
    rate_limit: StrictInt | None = Field(
        None, ge=1, le=2**31 - 1, description="Requests per minute. Null means the limit of the settings."
    )
    quota: StrictInt | None = Field(
        None, ge=0, le=2**31 - 1, description="Pictures per calendar month (UTC). Null means no limit."
    )
    owner: str | None = Field(
        None,
        max_length=40,
        pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="The `owner` of another key, or a name for a new owner. Null makes the key an owner of its own.",
    )


class RotationIn(Input):
    """How long the old key works beside the new one."""

    overlap_days: float = Field(7, ge=0, le=365, allow_inf_nan=False)


class KeyOut(Output):
    """An API key without its secret."""

    id: str
    name: str
    owner: str = Field(description="Keys with the same owner see the same jobs, and share one quota.")
    scopes: list[Scope]
    rate_limit: int | None = Field(description="Requests per minute. Null means the limit of the settings.")
    quota: int | None = Field(description="Pictures per calendar month (UTC). Null means no limit.")
    created_at: Time
    last_used_at: Time | None = Field(description="Accurate to a minute.")
    revoked_at: Time | None
    expires_at: Time | None = Field(description="When the key stops working. Null means never.")


class NewKeyOut(KeyOut):
    key: str = Field(description="`lb_<id>_<secret>`. Only this answer shows it.")


class KeysOut(Output):
    data: list[KeyOut]
    next_cursor: str | None


class AmountOut(Output):
    jobs: int
    pictures: int


class DayOut(AmountOut):
    day: date


class UsageOut(Output):
    """Jobs and pictures submitted by the owner of this key (without keys: by all clients)."""

    key_id: str | None
    owner: str | None
    rate_limit: int | None = Field(description="Requests per minute. Null means no limit.")
    quota: int | None = Field(description="Pictures per calendar month (UTC). Null means no limit.")
    left: int | None = Field(description="Pictures that the quota still allows. Null means no limit.")
    resets_at: Time = Field(description="The start of the next month, when the quota is reset.")
    today: AmountOut
    month: AmountOut
    days: list[DayOut] = Field(description="The last 30 days, oldest first, including days without submissions.")


class SessionKeyOut(Output):
    """The key of a session, and how much of its quota is used."""

    id: str
    name: str
    owner: str
    scopes: list[Scope]
    rate_limit: int | None = Field(description="Requests per minute. Null means no limit.")
    quota: int | None = Field(description="Pictures per calendar month (UTC). Null means no limit.")
    used: int = Field(description="Pictures that were submitted this month.")


class SessionOut(Output):
    """The caller, and the scopes that it has."""

    signed_in: bool = Field(description="True if the request has a valid key or session.")
    open: bool = Field(description="True if requests need no key.")
    key: SessionKeyOut | None
    shared_job: str | None = Field(description="The job that a link shows to the caller.")
    share_ended: bool = Field(description="True if the caller came by a link that has expired or was revoked.")
    may: list[Scope]

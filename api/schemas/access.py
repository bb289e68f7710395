"""Keys and usage."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field

from api.schemas.common import Input
from db.tables import Scope
from db.views.job import Output, Time


def _printable(name: str) -> str:
    # PostgreSQL keeps no NUL, and a name is for one line of a list.
    if not name.strip() or not name.isprintable():
        raise ValueError("expected a name of printable characters")
    return name


class KeyIn(Input):
    """A key that is to be made."""

    name: Annotated[str, AfterValidator(_printable)] = Field(max_length=200, examples=["catalog import"])
    scopes: list[Scope] = Field([Scope.SUBMIT, Scope.READ], min_length=1)
    rate_limit: int | None = Field(
        None, ge=1, le=2**31 - 1, description="requests per minute; null: as the settings say"
    )
    quota: int | None = Field(
        None, ge=0, le=2**31 - 1, description="pictures per calendar month (UTC); null: any number"
    )


class KeyOut(Output):
    """A key, without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    rate_limit: int | None = Field(description="requests per minute; null: as the settings say")
    quota: int | None = Field(description="pictures per calendar month (UTC); null: any number")
    created_at: Time
    last_used_at: Time | None = Field(description="to the minute")
    revoked_at: Time | None


class NewKeyOut(KeyOut):
    key: str = Field(description="`lb_<id>_<secret>`, shown here and never again")


class KeysOut(Output):
    data: list[KeyOut]
    next_cursor: str | None


class AmountOut(Output):
    jobs: int
    pictures: int


class DayOut(AmountOut):
    day: date


class UsageOut(Output):
    """What this key submitted; without keys, what everyone did."""

    key_id: str | None
    rate_limit: int | None = Field(description="requests per minute; null: any number")
    quota: int | None = Field(description="pictures per calendar month (UTC); null: any number")
    left: int | None = Field(description="pictures left of the quota; null: any number")
    resets_at: Time = Field(description="when the next month begins")
    today: AmountOut
    month: AmountOut
    days: list[DayOut] = Field(description="the last 30 days, oldest first; those without submissions included")

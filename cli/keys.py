"""Commands for keys. They use the database directly, because the API cannot create the first key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from cli.database import open_database
from cli.output import AsJson, err, out, print_json, table
from core.clock import rfc3339, utc_now
from core.errors import LookbookError
from core.settings import Settings
from core.types import Scope

if TYPE_CHECKING:
    from db.tables import ApiKey

app = typer.Typer(help="API keys: who may use the service.", no_args_is_help=True)


class KeyUnknown(LookbookError):
    """No key has this id."""

    code = "unknown_key"


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="A name for the key, such as its purpose or its owner.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What the key permits. Can be repeated. The default is submit and read; admin includes all."),
    ] = None,
    rate: Annotated[
        int | None, typer.Option(min=1, help="Requests per minute. The default is LOOKBOOK_RATE_LIMIT.")
    ] = None,
    quota: Annotated[
        int | None, typer.Option(min=0, help="Pictures per calendar month. By default there is no limit.")
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(
            help="The owner of another key, whose jobs the new key then sees, or a new name. By default, the key is an "
            "owner of its own.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Create a key and print it. Only its digest is stored, so the key cannot be printed again.

    As soon as one key exists, the service requires a key for every request, even on loopback.

    Examples:

        lookbook keys create operator --scope admin

        lookbook keys create prometheus --scope metrics

        lookbook keys create "catalog import" --scope submit --scope read --rate 600 --quota 100000

        lookbook keys create "results page" --scope read --owner shop-team
    """
    from db.access import keys

    with open_database(Settings.read(), "api_keys") as database, database.writing() as session:
        scopes = scope or [Scope.SUBMIT, Scope.READ]
        key, secret = keys.create(session, name, scopes, utc_now(), rate, quota, owner=owner)
        whose = "" if key.owner == key.id else f" of {key.owner}"
        note = f"{key.id}{whose} has the scopes {', '.join(key.scopes)}. The key is shown only this once:"
    err.print(note)
    out.print(secret)


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys, newest first, including revoked ones.

    Examples:

        lookbook keys list

        lookbook keys list --json
    """
    from db.access import keys

    with open_database(Settings.read(), "api_keys") as database, database.reading() as session:
        rows = keys.list_newest(session)
    if as_json:
        print_json([_as_json(row) for row in rows])
        return
    heads = ("key", "name", "owner", "scopes", "per minute", "per month", "last used", "expires", "revoked")
    shown = table(*heads, wrapping="name")
    for row in rows:
        limits = ["–" if limit is None else f"{limit:,}" for limit in (row.rate_limit, row.quota)]
        moments = [f"{moment:%Y-%m-%d %H:%M}" if moment else "–" for moment in _moments(row)]
        owner = "–" if row.owner == row.id else row.owner
        shown.add_row(row.id, escape(row.name), owner, " ".join(row.scopes), *limits, *moments)
    out.print(shown)


def _moments(key: ApiKey) -> tuple[datetime | None, ...]:
    return key.last_used_at, key.expires_at, key.revoked_at


def _as_json(key: ApiKey) -> dict[str, Any]:
    moments = {name: getattr(key, name) for name in ("created_at", "last_used_at", "expires_at", "revoked_at")}
    return {
        **{name: getattr(key, name) for name in ("id", "name", "owner", "scopes", "rate_limit", "quota")},
        **{name: rfc3339(moment) if moment else None for name, moment in moments.items()},
    }


@app.command("rotate")
def rotate(
    key: Annotated[str, typer.Argument(help="The id of the key, `key_…`. `lookbook keys list` shows it.")],
    overlap_days: Annotated[
        float, typer.Option(min=0, max=365, help="Days for which the old key works beside the new one.")
    ] = 7,
) -> None:
    """Print a new key for the owner of another one, with the same name, scopes and limits.

    Both keys see the same jobs. The old one stops working after the overlap.

    Examples:

        lookbook keys rotate key_01k…

        lookbook keys rotate key_01k… --overlap-days 1
    """
    from db.access import keys

    with open_database(Settings.read(), "api_keys") as database, database.writing() as session:
        rotated = keys.rotate(session, key, timedelta(days=overlap_days), utc_now())
        if rotated is None:
            raise KeyUnknown(f"there is no key {key!r}: `lookbook keys list` shows the keys")
        old = keys.get(session, key)
        assert old is not None
        assert old.expires_at is not None
        note = f"{rotated[0].id} replaces {key}, which works until {old.expires_at:%Y-%m-%d %H:%M} UTC."
    err.print(f"{note} The key is shown only this once:")
    out.print(rotated[1])


@app.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(help="The id of the key, `key_…`. `lookbook keys list` shows it.")],
) -> None:
    """Revoke a key for ever. Within two seconds it stops working.

    The jobs of its owner remain. If no other key of the owner works, keys with the scope admin can see them.

    Example:

        lookbook keys revoke key_01k…
    """
    from db.access import keys

    with open_database(Settings.read(), "api_keys") as database, database.writing() as session:
        if not keys.revoke(session, key, utc_now()):
            raise KeyUnknown(f"there is no key {key!r}: `lookbook keys list` shows the keys")
    out.print(f"{key} is revoked. Every process refuses it within two seconds.")

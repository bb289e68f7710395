"""Commands for keys. They use the database directly, because the API cannot create the first key."""

from __future__ import annotations

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
        typer.Option(
            help="What the key permits. Can be repeated. The default is submit and read; admin includes both."
        ),
    ] = None,
    rate: Annotated[
        int | None, typer.Option(min=1, help="Requests per minute. The default is LOOKBOOK_RATE_LIMIT.")
    ] = None,
    quota: Annotated[
        int | None, typer.Option(min=0, help="Pictures per calendar month. By default there is no limit.")
    ] = None,
) -> None:
    """Create a key and print it. Only its digest is stored, so the key cannot be printed again.

    As soon as one key exists, the service requires a key for every request, even on loopback.

    Examples:

        lookbook keys create operator --scope admin

        lookbook keys create "catalog import" --scope submit --scope read --rate 600 --quota 100000
    """
    from db.access import keys

    with open_database(Settings.read(), "api_keys") as database, database.writing() as session:
        key, secret = keys.create(session, name, scope or [Scope.SUBMIT, Scope.READ], utc_now(), rate, quota)
        note = f"{key.id} has the scopes {', '.join(key.scopes)}. The key is shown only this once:"
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
    shown = table("key", "name", "scopes", "per minute", "per month", "last used", "revoked", wrapping="name")
    for row in rows:
        limits = ["–" if limit is None else f"{limit:,}" for limit in (row.rate_limit, row.quota)]
        moments = [f"{moment:%Y-%m-%d %H:%M}" if moment else "–" for moment in (row.last_used_at, row.revoked_at)]
        shown.add_row(row.id, escape(row.name), " ".join(row.scopes), *limits, *moments)
    out.print(shown)


def _as_json(key: ApiKey) -> dict[str, Any]:
    moments = {name: getattr(key, name) for name in ("created_at", "last_used_at", "revoked_at")}
    return {
        **{name: getattr(key, name) for name in ("id", "name", "scopes", "rate_limit", "quota")},
        **{name: rfc3339(moment) if moment else None for name, moment in moments.items()},
    }


@app.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(help="The id of the key, `key_…`. `lookbook keys list` shows it.")],
) -> None:
    """Revoke a key for ever. Within two seconds it stops working.

    Its jobs remain, and keys with the scope admin can see them.

    Example:

        lookbook keys revoke key_01k…
    """
    from db.access import keys

    with open_database(Settings.read(), "api_keys") as database, database.writing() as session:
        if not keys.revoke(session, key, utc_now()):
            raise KeyUnknown(f"there is no key {key!r}: `lookbook keys list` shows the keys")
    out.print(f"{key} is revoked")

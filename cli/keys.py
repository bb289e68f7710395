"""Commands on keys. They work on the database itself: the first key has to come from somewhere."""

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

app = typer.Typer(help="Keys: who may use the service.", no_args_is_help=True)


class KeyUnknown(LookbookError):
    """There is no such key."""

    code = "unknown_key"


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is for, or whose.")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may do, once for each; admin includes the others.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(min=1, help="Requests per minute; LOOKBOOK_RATE_LIMIT by default.")
    ] = None,
    quota: Annotated[
        int | None, typer.Option(min=0, help="Pictures per calendar month; any number by default.")
    ] = None,
) -> None:
    """Make a key and print it. It is kept as a digest only: nobody can print it again.

    Once there is a key, the service needs one for everything, on loopback, too.

    Examples:

        lookbook keys create operator --scope admin

        lookbook keys create "catalog import" --scope submit --scope read --rate 600 --quota 100000
    """
    from db.access import keys

    with open_database(Settings.read(), "api_keys") as database, database.writing() as session:
        key, written = keys.create(session, name, scope or [Scope.SUBMIT, Scope.READ], utc_now(), rate, quota)
        shown = f"{key.id} may {', '.join(key.scopes)}; its key, shown this once:"
    err.print(shown)
    out.print(written)


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """Keys, newest first, the revoked ones included.

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
def revoke(key: Annotated[str, typer.Argument(help="Its id, `key_…`, as `lookbook keys list` shows it.")]) -> None:
    """Make a key useless for ever, within two seconds. Its jobs stay, and keys with the scope admin see them.

    Example:

        lookbook keys revoke key_01k…
    """
    from db.access import keys

    with open_database(Settings.read(), "api_keys") as database, database.writing() as session:
        if not keys.revoke(session, key, utc_now()):
            raise KeyUnknown(f"there is no key {key!r}: `lookbook keys list` shows those that there are")
    out.print(f"{key} is revoked")

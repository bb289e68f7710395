"""Commands on webhooks."""

from __future__ import annotations

import typer

from core.errors import SettingsError
from core.settings import Settings

app = typer.Typer(help="Webhooks: telling other programs of a job's end.", no_args_is_help=True)


@app.command("secret")
def secret() -> None:
    """Print the secret by which receivers know that a webhook comes from this installation.

    It is that of LOOKBOOK_WEBHOOK_SECRET, else one that was made once and is kept in the database.

    Example:

        lookbook webhooks secret
    """
    from sqlalchemy import inspect

    from db.engine import Database
    from db.webhooks import signing_secret

    settings = Settings.read()
    database = Database(settings.resolved_database_url)
    if not settings.webhook_secret and not inspect(database.engine).has_table("secrets"):
        where = database.url.render_as_string()
        raise SettingsError(f"{where} does not have this version's tables: run `lookbook up` or `lookbook db upgrade`")
    typer.echo(signing_secret(database, settings.webhook_secret))
    database.close()

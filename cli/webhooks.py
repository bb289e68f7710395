"""Commands on webhooks."""

from __future__ import annotations

import typer

from cli.database import open_database
from core.settings import Settings

app = typer.Typer(help="Webhooks: telling other programs of a job's end.", no_args_is_help=True)


@app.command("secret")
def secret() -> None:
    """Print the secret by which receivers know that a webhook comes from this installation.

    It is that of LOOKBOOK_WEBHOOK_SECRET, else one that was made once and is kept in the database.

    Example:

        lookbook webhooks secret
    """
    from db.steps.webhooks import signing_secret

    settings = Settings.read()
    if settings.webhook_secret:
        typer.echo(settings.webhook_secret)
        return
    with open_database(settings, "secrets") as database:
        typer.echo(signing_secret(database, settings.webhook_secret))

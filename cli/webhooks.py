"""Commands for webhooks."""

from __future__ import annotations

import typer

from cli.database import open_database
from core.settings import Settings

app = typer.Typer(help="Webhooks: notify other programs when a job ends.", no_args_is_help=True)


@app.command("secret")
def secret() -> None:
    """Print the secret with which receivers verify that a delivery comes from this installation.

    The secret is LOOKBOOK_WEBHOOK_SECRET. If that is empty, it is a random one that the database keeps.

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

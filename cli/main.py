"""The `lookbook` command."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from cli import client, keys, learning, models, service, webhooks
from core.errors import LookbookError

app = typer.Typer(
    name="lookbook",
    help="Classifies whole fashion catalogs by style. Start with `lookbook up`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

app.command("up", rich_help_panel="Run")(service.up)
app.command("api", rich_help_panel="Run")(service.api)
app.command("worker", rich_help_panel="Run")(service.worker)
app.command("beat", rich_help_panel="Run")(service.beat)
app.add_typer(service.db_app, name="db", rich_help_panel="Run")
app.add_typer(service.health_app, name="health", rich_help_panel="Run")
app.add_typer(keys.app, name="keys", rich_help_panel="Run")
app.add_typer(webhooks.app, name="webhooks", rich_help_panel="Run")
app.command("submit", rich_help_panel="Use")(client.submit)
app.command("jobs", rich_help_panel="Use")(client.jobs)
app.add_typer(models.app, name="models", rich_help_panel="Use")
app.command("train", rich_help_panel="Learn")(learning.train_command)
app.command("evaluate", rich_help_panel="Learn")(learning.evaluate_command)
app.command("convert-backbone", rich_help_panel="Learn")(learning.convert_command)


def main() -> None:
    """Run a command; what goes wrong on purpose is one line on standard error and exit code 1."""
    try:
        app()
    except LookbookError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"lookbook: {error.detail}", style="red", markup=False)
        sys.exit(1)

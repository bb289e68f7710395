"""The `lookbook` command."""

from __future__ import annotations

import sys
from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated

import typer

from cli import (
    backbones,
    classifying,
    comparing,
    crawling,
    dataset_reading,
    dataset_splitting,
    datasets,
    doctor,
    evaluating,
    hinting,
    items,
    jobs,
    keys,
    learning,
    mapping,
    models,
    products,
    recipes,
    rerunning,
    reviewing,
    runs,
    searching,
    service,
    submitting,
    teaching,
    training,
    trusting,
    versions,
    webhooks,
)
from cli.output import ExitCode, err, out
from core.errors import LookbookError
from lookbook import Error, NotReached, ProblemError, UploadInterrupted

app = typer.Typer(
    name="lookbook",
    help="Classify whole fashion catalogs by kind of garment or by style. `lookbook up` starts the service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"lookbook {version('lookbook')}", highlight=False)
        raise typer.Exit


@app.callback()
def lookbook(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that precede a command."""


app.command("up", rich_help_panel="Run")(service.up)
app.command("api", rich_help_panel="Run")(service.api)
app.command("worker", rich_help_panel="Run")(service.worker)
app.command("beat", rich_help_panel="Run")(service.beat)
app.add_typer(service.db_app, name="db", rich_help_panel="Run")
app.add_typer(service.health_app, name="health", rich_help_panel="Run")
app.command("doctor", rich_help_panel="Run")(doctor.doctor)
app.add_typer(keys.app, name="keys", rich_help_panel="Run")
app.add_typer(webhooks.app, name="webhooks", rich_help_panel="Run")
app.command("classify", rich_help_panel="Use")(classifying.classify)
app.command("similar", rich_help_panel="Use")(searching.similar)
app.command("submit", rich_help_panel="Use")(submitting.submit)
app.command("crawl", rich_help_panel="Use")(crawling.crawl)
app.command("jobs", rich_help_panel="Use")(jobs.jobs)
app.command("watch", rich_help_panel="Use")(jobs.watch)
app.command("items", rich_help_panel="Use")(items.items)
app.command("products", rich_help_panel="Use")(products.products)
app.command("urls", rich_help_panel="Use")(crawling.urls)
app.command("export", rich_help_panel="Use")(items.export)
app.command("review", rich_help_panel="Use")(reviewing.review)
app.add_typer(reviewing.app, name="reviews", rich_help_panel="Use")
app.command("labelling-config", rich_help_panel="Use")(reviewing.labelling_config)
app.command("picture-url", rich_help_panel="Use")(reviewing.picture_url)
app.command("trust", rich_help_panel="Use")(trusting.trust)
app.command("accept", rich_help_panel="Use")(trusting.accept)
app.command("unaccept", rich_help_panel="Use")(trusting.unaccept)
app.command("hints", rich_help_panel="Use")(hinting.hints)
app.command("cancel", rich_help_panel="Use")(jobs.cancel)
app.command("retry", rich_help_panel="Use")(jobs.retry)
app.command("rerun", rich_help_panel="Use")(rerunning.rerun)
app.command("compare", rich_help_panel="Use")(comparing.compare)
app.command("map", rich_help_panel="Use")(mapping.map_)
app.command("delete", rich_help_panel="Use")(jobs.delete)
app.command("deliveries", rich_help_panel="Use")(jobs.deliveries)
app.command("teach", rich_help_panel="Use")(teaching.teach)
app.command("lessons", rich_help_panel="Use")(teaching.lessons)
app.add_typer(teaching.taxonomy_app, name="taxonomy", rich_help_panel="Use")
models.app.command("changes")(teaching.changes)
models.app.command("publish")(versions.publish)
models.app.command("card")(versions.card)
models.app.command("diff")(versions.diff)
app.add_typer(models.app, name="models", rich_help_panel="Use")
app.add_typer(recipes.app, name="recipes", rich_help_panel="Use")
datasets.app.command("check")(dataset_reading.check)
datasets.app.command("stats")(dataset_reading.stats)
datasets.app.command("split")(dataset_splitting.split)
datasets.app.command("prepare")(dataset_splitting.prepare)
app.add_typer(datasets.app, name="dataset", rich_help_panel="Learn")
app.command("train", rich_help_panel="Learn")(training.train)
app.command("evaluate", rich_help_panel="Learn")(evaluating.evaluate)
app.command("runs", rich_help_panel="Learn")(runs.runs)
app.command("backbones", rich_help_panel="Learn")(backbones.backbones)
app.command("convert-backbone", rich_help_panel="Learn")(learning.convert_backbone)


def main() -> None:
    """Run a command. An expected error is printed in one line on standard error, and the exit code is 1."""
    try:
        app()
    except LookbookError as error:
        _fail(error.detail)
    except NotReached as error:
        _fail(f"{error}; is it running (`make up`)? Give its URL with --url or LOOKBOOK_URL")
    except UploadInterrupted as error:
        _fail(f"{error}; to go on, repeat the command with --resume {error.job_id}")
    except ProblemError as error:
        _fail(
            f"{error}; give the key with --key or LOOKBOOK_KEY"
            if error.status == HTTPStatus.UNAUTHORIZED
            else str(error)
        )
    except Error as error:
        _fail(str(error))
    except _database_errors() as error:
        if _is_bug(error):
            raise
        _fail(f"the database cannot be used ({_one_line(error)})")
    except OSError as error:
        # With a file name, the error is about a file of the user. Without one, it is a bug and needs a traceback.
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}")


def _database_errors() -> tuple[type[Exception], ...]:
    """Return the errors of the database driver, if a command has used it: importing it takes long."""
    exc = sys.modules.get("sqlalchemy.exc")
    return () if exc is None else (exc.DBAPIError,)


def _is_bug(error: Exception) -> bool:
    """Return whether a statement of ours is to blame for an error of the database."""
    exc = sys.modules["sqlalchemy.exc"]
    return isinstance(error, (exc.ProgrammingError, exc.IntegrityError, exc.DataError, exc.NotSupportedError))


def _one_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def _fail(text: str) -> None:
    err.print(f"lookbook: {text}", style="red", markup=False)
    sys.exit(ExitCode.ERROR)

"""Commands that run the whole service or one of its processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import ExitCode
from core.errors import ArtifactInvalid, BrokerUnavailable, LookbookError
from core.messages import Queue
from core.private_files import create_only_private_files
from core.settings import Settings

if TYPE_CHECKING:
    from broker.client import Broker
    from db.database import Database


class Devices(StrEnum):
    """The choices of `lookbook worker --devices`."""

    ONE = "one"
    ALL = "all"


db_app = typer.Typer(help="Manage the database.", no_args_is_help=True)
health_app = typer.Typer(help="Health checks for containers.", no_args_is_help=True)

NoAuth = Annotated[
    bool,
    typer.Option("--no-auth", help="Serve everyone who can reach the service, without a key (LOOKBOOK_NO_AUTH)."),
]


def up(no_auth: NoAuth = False) -> None:
    """Run the whole service on this machine: Redis, API, workers and beat. Ctrl-C stops it.

    The settings come from the environment.

    Examples:

        lookbook up

        LOOKBOOK_PORT=8001 LOOKBOOK_HOME=/data/lookbook lookbook up
    """
    from cli.up import run

    run(_settings(no_auth))


def api(no_auth: NoAuth = False) -> None:
    """Run only the API server.

    LOOKBOOK_DATABASE_URL and LOOKBOOK_REDIS_URL name the database and the Redis that it shares with the workers.

    Examples:

        lookbook api

        LOOKBOOK_REDIS_URL=redis://redis.example:6379/0 lookbook api
    """
    from api.server import serve

    serve(_settings(no_auth))


def worker(
    queues: Annotated[
        str, typer.Option(help="The queues to work on, in this order, separated by commas.")
    ] = "interactive,bulk,low",
    concurrency: Annotated[
        int, typer.Option(help="The number of chunks that the worker holds at the same time.", min=1)
    ] = 4,
    devices: Annotated[
        Devices, typer.Option(help="`one`: one process on one device. `all`: one process for each GPU.")
    ] = Devices.ONE,
) -> None:
    """Run a worker: one process, or one process for each GPU.

    Examples:

        lookbook worker

        lookbook worker --queues search,fetch_interactive,fetch,fetch_low,ingest --concurrency 8

        lookbook worker --devices all
    """
    settings, chosen = _process_settings(), _queues(queues)
    if devices == Devices.ALL:
        from classifier.runtimes import visible_gpus
        from cli.devices import run_one_per_gpu

        gpus = visible_gpus()
        if gpus:
            run_one_per_gpu(settings, gpus, ["--queues", queues, "--concurrency", str(concurrency)])
            return
        typer.echo("no GPU is visible: starting one process on the CPU", err=True)
    from worker.app import run_worker

    run_worker(settings, chosen, concurrency)


def beat() -> None:
    """Run the clock that queues the maintenance tasks. An installation needs one; a second one does no harm.

    Example:

        lookbook beat
    """
    from worker.maintenance.beat import run_beat

    run_beat(_process_settings())


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Migrate the database to the tables of this version, and register the models in LOOKBOOK_MODELS.

    Example:

        lookbook db upgrade
    """
    from cli.registry import register_models
    from db.database import Database
    from db.migrate import head_revision, upgrade

    settings = _process_settings()
    database = Database(settings.resolved_database_url)
    upgrade(database)
    typer.echo(f"database is at migration {head_revision()}")
    for ref in register_models(settings, database, _report_left_out_model):
        typer.echo(f"model {ref} is registered")
    database.close()


@db_app.command("downgrade")
def db_downgrade(
    revision: Annotated[str, typer.Argument(help="The migration to go back to, which the older version names.")],
) -> None:
    """Undo the migrations after REVISION, so that an older version of Lookbook can use the database.

    `lookbook doctor` of the older version says which migration it expects. What only the newer version stores is lost:
    make a backup first.

    Example:

        lookbook db downgrade 0021
    """
    from db.migrate import current_revision, downgrade, list_revisions

    with _database() as database:
        current, known = current_revision(database), list_revisions()
        if revision not in known:
            raise typer.BadParameter(f"expected one of {', '.join(reversed(known))}, got {revision!r}")
        if current not in known or known.index(current) > known.index(revision):
            raise LookbookError(f"the database is at migration {current or 'none'}, not at {revision} or a later one")
        downgrade(database, revision)
    typer.echo(f"database is at migration {revision}, it was at {current}")


@db_app.command("backup")
def db_backup(
    file: Annotated[Path, typer.Argument(help="The file to write. It must not exist.")],
) -> None:
    """Write a copy of a SQLite database, while the service runs. To restore it, put it in the place of the database.

    PostgreSQL has its own programs for this: pg_dump and pg_restore.

    Example:

        lookbook db backup /backups/lookbook.db
    """
    from db.backup import copy_sqlite

    with _database() as database:
        if not database.is_sqlite:
            raise LookbookError("expected a SQLite database; use pg_dump and pg_restore for PostgreSQL")
        if file.exists():
            raise typer.BadParameter(f"{file} exists already")
        copy_sqlite(database, file)
    typer.echo(f"wrote {file}, {file.stat().st_size:,} bytes")


@contextmanager
def _database() -> Iterator[Database]:
    from db.database import Database

    with closing(Database(_process_settings().resolved_database_url)) as database:
        yield database


def _report_left_out_model(error: ArtifactInvalid) -> None:
    typer.echo(f"a model is left out: {error.detail}", err=True)


@health_app.command("worker")
def health_worker(
    queue: Annotated[Queue, typer.Option(help="A queue that the worker must serve.")] = Queue.INTERACTIVE,
) -> None:
    """Exit with 0 if a worker on this host serves the queue and sent a heartbeat recently, with 1 otherwise.

    Examples:

        lookbook health worker

        lookbook health worker --queue ingest
    """
    with _broker() as broker:
        workers = broker.list_live_workers()
    host = os.uname().nodename
    alive = [w.worker for w in workers if queue.value in w.queues and f"@{host}-" in w.worker]
    typer.echo("\n".join(alive) or f"no worker on {host} serves {queue.value}")
    raise typer.Exit(ExitCode.OK if alive else ExitCode.ERROR)


@health_app.command("beat")
def health_beat() -> None:
    """Exit with 0 if a beat on this host was alive within the last ten seconds, with 1 otherwise.

    Example:

        lookbook health beat
    """
    with _broker() as broker:
        hosts = broker.list_live_beats()
    host = os.uname().nodename
    typer.echo(f"a beat runs on {host}" if host in hosts else f"no beat runs on {host}")
    raise typer.Exit(ExitCode.OK if host in hosts else ExitCode.ERROR)


@contextmanager
def _broker() -> Iterator[Broker]:
    """Yield the broker of the settings. If Redis does not answer, end the command with the reason and exit code 1."""
    from broker.client import Broker

    try:
        yield Broker.connect(Settings.read())
    except BrokerUnavailable as error:
        typer.echo(error.detail, err=True)
        raise typer.Exit(ExitCode.ERROR) from error


def _process_settings() -> Settings:
    """Return the settings of a process of the service, which from now on creates only private files."""
    create_only_private_files()
    return Settings.read()


def _settings(no_auth: bool) -> Settings:
    settings = _process_settings()
    return settings.model_copy(update={"no_auth": True}) if no_auth else settings


def _queues(text: str) -> list[Queue]:
    known = [queue.value for queue in Queue]
    names = [name.strip() for name in text.split(",") if name.strip()]
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise typer.BadParameter(f"expected some of {','.join(known)}; got {text!r}", param_hint="--queues")
    return [Queue(name) for name in names]

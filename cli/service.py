"""Commands that run the service: the whole of it, or one of its processes."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from core.errors import BrokerUnavailable
from core.messages import Queue
from core.settings import Settings


class Devices(StrEnum):
    """On which devices a worker runs."""

    ONE = "one"
    ALL = "all"


db_app = typer.Typer(help="The database.", no_args_is_help=True)
health_app = typer.Typer(help="Health checks for containers.", no_args_is_help=True)

NoAuth = Annotated[
    bool,
    typer.Option(
        "--no-auth", help="Serve anyone who can reach the address without asking for a key (LOOKBOOK_NO_AUTH)."
    ),
]


def up(no_auth: NoAuth = False) -> None:
    """Run the whole service on this machine: Redis, API, workers and beat. Ctrl-C ends it.

    Settings come from the environment, for example:

        LOOKBOOK_PORT=8001 LOOKBOOK_HOME=/data/lookbook lookbook up
    """
    from cli.up import run

    run(_settings(no_auth))


def api(no_auth: NoAuth = False) -> None:
    """Run the API server alone (LOOKBOOK_DATABASE_URL and LOOKBOOK_REDIS_URL say where the rest is).

    Example:

        lookbook api
    """
    from api.server import serve

    serve(_settings(no_auth))


def worker(
    queues: Annotated[str, typer.Option(help="Queues to work on, in order, with commas.")] = "interactive,bulk,low",
    concurrency: Annotated[int, typer.Option(help="Chunks in hand at once.", min=1)] = 4,
    devices: Annotated[
        Devices, typer.Option(help="`one` process on one device, or `all`: a process for each GPU.")
    ] = Devices.ONE,
) -> None:
    """Run a worker: one process, or one for each GPU.

    Examples:

        lookbook worker

        lookbook worker --queues fetch_interactive,fetch,fetch_low,ingest --concurrency 8

        lookbook worker --devices all
    """
    settings, wanted = Settings.read(), _queues(queues)
    if devices == Devices.ALL:
        from classifier.runtimes import visible_gpus
        from cli.devices import run_one_per_gpu

        gpus = visible_gpus()
        if gpus:
            run_one_per_gpu(settings, gpus, ["--queues", queues, "--concurrency", str(concurrency)])
            return
        typer.echo("no GPU is visible: one process on the CPU", err=True)
    from worker.app import run_worker

    run_worker(settings, wanted, concurrency)


def beat() -> None:
    """Run the clock that wakes the sweeper. One per installation; a second one does no harm.

    Example:

        lookbook beat
    """
    from worker.maintenance.beat import run_beat

    run_beat(Settings.read())


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Bring the database to this version's tables, and make the models of LOOKBOOK_MODELS known.

    Example:

        lookbook db upgrade
    """
    from cli.registry import register_models
    from db.database import Database
    from db.migrate import head_revision, upgrade

    settings = Settings.read()
    database = Database(settings.resolved_database_url)
    upgrade(database)
    typer.echo(f"database is at migration {head_revision()}")
    for ref in register_models(settings, database):
        typer.echo(f"model {ref} is known")
    database.close()


@health_app.command("worker")
def health_worker(
    queue: Annotated[Queue, typer.Option(help="A queue that it must work on.")] = Queue.INTERACTIVE,
) -> None:
    """Exit 0 if a worker of this host that serves the queue was alive a moment ago, 1 if not.

    Examples:

        lookbook health worker

        lookbook health worker --queue ingest
    """
    from broker.client import Broker

    try:
        workers = Broker.connect(Settings.read()).list_live_workers()
    except BrokerUnavailable as error:
        typer.echo(error.detail, err=True)
        raise typer.Exit(1) from error
    here = os.uname().nodename
    alive = [w.worker for w in workers if queue.value in w.queues and f"@{here}-" in w.worker]
    typer.echo("\n".join(alive) or f"no worker of {here} serves {queue.value}")
    raise typer.Exit(0 if alive else 1)


def _settings(no_auth: bool) -> Settings:
    settings = Settings.read()
    return settings.model_copy(update={"no_auth": True}) if no_auth else settings


def _queues(text: str) -> list[Queue]:
    known = [queue.value for queue in Queue]
    names = [name.strip() for name in text.split(",") if name.strip()]
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise typer.BadParameter(f"expected some of {','.join(known)}; got {text!r}", param_hint="--queues")
    return [Queue(name) for name in names]

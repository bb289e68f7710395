"""`lookbook doctor`: check every part of an installation, and say what to do about what is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Annotated

import httpx
import typer
from rich.progress import Progress
from rich.text import Text

from cli.output import AsJson, ExitCode, Key, Url, err, out, print_json, table
from core.errors import ArtifactInvalid, BlobDamaged, BlobMissing, BlobStoreUnavailable, DatabaseUnusable, StorageFull
from core.logs import configure_logging
from core.machine import WORKER_MEGABYTES, Machine
from core.private_files import create_only_private_files
from core.settings import PROJECT, Settings
from lookbook import DEFAULT_URL, Client, Error

KNOWN_PICTURE = PROJECT / "samples" / "pictures" / "jacket-denim.jpg"
SHOWN_BLOBS = 20
"""Damaged and missing blobs that are named. Their number is always given."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of the check of one part."""

    part: str
    ok: bool
    found: str
    advice: str = ""
    """The remedy, if the part is not in order."""


def doctor(
    blobs: Annotated[
        bool, typer.Option("--blobs", help="Also compare all stored bytes with their SHA-256. It reads every picture.")
    ] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Check the database, the blob store, the models, and the running service with a known photograph.

    The settings come from the environment, as those of the service do. The exit code is 0 only if all is in order.
    With `--blobs`, damaged bytes are moved to `damaged/` in the store; the next upload of the same picture replaces
    them.

    Examples:

        lookbook doctor

        lookbook doctor --blobs --json

        LOOKBOOK_HOME=/data/lookbook lookbook doctor --url https://lookbook.example
    """
    create_only_private_files()
    # The findings say what a log would say.
    configure_logging("CRITICAL", "doctor")
    settings = Settings.read()
    findings = []
    for finding in _examine(settings, url, key, with_blobs=blobs):
        findings.append(finding)
        if not as_json:
            out.print(_line(finding))
    if as_json:
        print_json({"ok": all(finding.ok for finding in findings), "parts": [asdict(finding) for finding in findings]})
    raise typer.Exit(ExitCode.OK if all(finding.ok for finding in findings) else ExitCode.ERROR)


def _line(finding: Finding) -> Text:
    mark = Text("ok    ", "green") if finding.ok else Text("wrong ", "bold red")
    advice = f"\n      → {finding.advice}" if finding.advice else ""
    return Text.assemble(mark, f"{finding.part:<12}", finding.found, advice)


def _examine(settings: Settings, url: str, key: str, *, with_blobs: bool) -> Iterator[Finding]:
    database_finding = _database(settings)
    yield database_finding
    yield _store(settings)
    yield _models(settings)
    yield _machine(settings, Machine.here())
    yield from _service(url, key)
    if with_blobs and database_finding.ok:
        yield _blobs(settings)


def _database(settings: Settings) -> Finding:
    from sqlalchemy.exc import SQLAlchemyError

    from db.database import Database
    from db.migrate import current_revision, head_revision

    try:
        with closing(Database(settings.resolved_database_url)) as database:
            current, head = current_revision(database), head_revision()
    except (SQLAlchemyError, DatabaseUnusable) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return Finding("database", False, reason, "check LOOKBOOK_DATABASE_URL, and that the database runs")
    if current == head:
        return Finding("database", True, f"at migration {head}")
    found = f"at migration {current or 'none'}, expected {head}"
    return Finding("database", False, found, "run `lookbook db upgrade`, or the version of Lookbook that fits")


def _store(settings: Settings) -> Finding:
    from db.blobs.opening import open_blob_store

    try:
        open_blob_store(settings).ping()
    except (BlobStoreUnavailable, StorageFull, OSError) as error:
        return Finding("blob store", False, str(error), "make room, or check LOOKBOOK_BLOBS and LOOKBOOK_HOME")
    if settings.blobs:
        return Finding("blob store", True, "the bucket answers")
    free = shutil.disk_usage(settings.blobs_folder).free
    return Finding("blob store", True, f"{settings.blobs_folder} has {free / 2**30:,.1f} GiB free")


def _models(settings: Settings) -> Finding:
    from classifier.artifact import list_artifacts

    invalid: list[ArtifactInvalid] = []
    valid = list_artifacts(settings.models, invalid.append)
    names = ", ".join(str(artifact.ref) for artifact in valid) or "none"
    if invalid:
        reasons = "; ".join(error.detail for error in invalid)
        return Finding("models", False, f"valid: {names}; {reasons}", "publish these versions again, or remove them")
    if not valid and settings.blobs:
        return Finding("models", True, f"none in {settings.models}; workers get them from the bucket")
    if not valid:
        return Finding("models", False, f"no model in {settings.models}", "check LOOKBOOK_MODELS, or train a model")
    return Finding("models", True, names)


def _machine(settings: Settings, machine: Machine) -> Finding:
    needed = WORKER_MEGABYTES + settings.decoders * settings.decode_megabytes
    found = f"{machine}; {settings.decoders} decoders of {settings.decode_megabytes} MiB for each worker"
    # Every worker has at least one decoder, also in the small containers of the other processes.
    if settings.decoders == 1 or needed * 2**20 <= machine.memory:
        return Finding("machine", True, found)
    fewer = machine.decoders(settings.decode_megabytes)
    advice = f"a worker may need {needed / 1024:,.1f} GiB: give it more memory, or set LOOKBOOK_DECODERS={fewer}"
    return Finding("machine", False, found, advice)


def _service(url: str, key: str) -> Iterator[Finding]:
    with Client(url, key or None, retries=0) as client:
        try:
            client.ping()
        except Error as error:
            yield Finding("service", False, str(error), "start it (`make up`), or give its URL with --url")
            return
        yield _readiness(url)
        try:
            item = client.classify(KNOWN_PICTURE, timeout=30.0)
        except (Error, OSError) as error:
            yield Finding("prediction", False, str(error), "read the log of the worker")
            return
    assert item.prediction is not None
    found = f"{KNOWN_PICTURE.name}: {item.prediction.label.name}, {item.prediction.confidence:.2f}"
    yield Finding("prediction", True, f"{found}, by {item.prediction.model}")


def _readiness(url: str) -> Finding:
    # Without the client, which takes 503 for a refusal.
    state = httpx.get(f"{url.rstrip('/')}/readyz", timeout=30.0, trust_env=False).json()
    if not state["ready"]:
        return Finding("service", False, f"{url} lacks {', '.join(state['missing'])}", "read the logs of these parts")
    if state["unserved"]:
        found = f"no worker serves {', '.join(state['unserved'])}"
        return Finding("service", False, found, "start a worker with `--queues` for them")
    return Finding("service", True, f"{url} is ready")


def _blobs(settings: Settings) -> Finding:
    from db.blobs.opening import open_blob_store
    from db.database import Database
    from db.views.blobs import count, list_sha256s

    store, wrong = open_blob_store(settings), table("blob", "state")
    missing = damaged = total = 0
    with (
        closing(Database(settings.resolved_database_url)) as database,
        Progress(console=err, transient=True, disable=not err.is_terminal) as progress,
    ):
        task = progress.add_task("checking blobs", total=count(database))
        for sha256 in list_sha256s(database):
            total += 1
            try:
                store.check(sha256)
            except BlobDamaged:
                damaged += 1
                wrong.add_row(sha256, "damaged, set aside")
            except BlobMissing:
                missing += 1
                wrong.add_row(sha256, "missing")
            progress.advance(task)
    found = f"{total:,} blobs checked, {damaged:,} damaged, {missing:,} missing"
    if not damaged and not missing:
        return Finding("blobs", True, found)
    if wrong.row_count <= SHOWN_BLOBS:
        err.print(wrong)
    return Finding("blobs", False, found, "upload these pictures again, then retry their jobs")

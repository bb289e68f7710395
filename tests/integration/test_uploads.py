"""Uploads into every kind of store, and their handling when the store, the disk or the database fails."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection, event, func, select
from werkzeug.test import TestResponse

import db.blobs.s3 as s3_store
from api.app import LookbookApp
from broker.client import Broker
from classifier.prepare import InputSpec
from core.errors import BlobMissing, BlobStoreUnavailable
from core.settings import Settings
from db.blobs.leftovers import remove_leftovers
from db.blobs.opening import open_blob_store
from db.database import Database
from db.steps import chunks
from db.tables import Blob, Discovery, Item, Job
from db.views import items
from tests.conftest import RunningS3
from tests.integration.apps import body_of, classify, files_in, picture, prepare, problem, services_of, serving, upload
from tests.integration.builders import NOW, POLICY, a_blob, a_job, record_chunk, scored
from worker.decoding.decoder import DecoderLimits
from worker.decoding.pool import DecodedPicture, DecoderPool
from worker.predicting.explaining import Explainer
from worker.predicting.models import ModelCache


@pytest.fixture
def app_of() -> Iterator[Callable[[Settings], LookbookApp]]:
    """A function that creates applications with an empty database and a model."""
    with ExitStack() as stack:

        def make(settings: Settings) -> LookbookApp:
            prepare(settings)
            return stack.enter_context(serving(settings))

        yield make


def test_an_uploaded_picture_can_be_read_back(
    blob_settings: Settings, app_of: Callable[[Settings], LookbookApp]
) -> None:
    client = app_of(blob_settings).test_client()
    job = body_of(upload(client, [(picture(), "a.jpg"), (b"", "empty.jpg"), (picture(), "twin.jpg")]))
    for item in body_of(client.get(job["links"]["items"]))["data"][::2]:
        with client.get(item["image"]["original"]) as original:
            assert original.data == picture()
    assert list(blob_settings.spool_folder.iterdir()) == []


def test_a_part_of_a_picture_can_be_read_and_an_unchanged_one_is_not_sent_again(
    blob_settings: Settings, app_of: Callable[[Settings], LookbookApp]
) -> None:
    client = app_of(blob_settings).test_client()
    job = body_of(upload(client, [(picture(), "a.jpg")]))
    path = body_of(client.get(job["links"]["items"]))["data"][0]["image"]["original"]

    def part(asked: str, **headers: str) -> tuple[int, str | None, bytes]:
        with client.get(path, headers={"Range": asked, **headers}) as answer:
            return answer.status_code, answer.headers.get("Content-Range"), answer.data

    size, data = len(picture()), picture()
    with client.get(path) as whole:
        assert (whole.status_code, whole.headers["Accept-Ranges"], whole.content_length) == (200, "bytes", size)
        assert whole.headers["Cache-Control"] == "private, no-cache"
        tag = whole.headers["ETag"]
    assert part("bytes=10-19") == (206, f"bytes 10-19/{size}", data[10:20])
    assert part("bytes=-5") == (206, f"bytes {size - 5}-{size - 1}/{size}", data[-5:])
    assert part(f"bytes={size - 5}-", **{"If-Range": tag}) == (206, f"bytes {size - 5}-{size - 1}/{size}", data[-5:])
    assert part("bytes=0-4", **{"If-Range": '"other"'}) == (200, None, data)
    assert part("bytes=0-4,8-9") == (200, None, data)
    assert part("lines=1-2") == (200, None, data)
    refused = client.get(path, headers={"Range": f"bytes={size}-"})
    assert (problem(refused)["status"], refused.headers["Content-Range"]) == (416, f"bytes */{size}")
    unchanged = client.get(path, headers={"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.data, unchanged.headers["ETag"]) == (304, b"", tag)


def test_a_picture_that_is_purged_during_its_submission_is_stored_again(
    blob_settings: Settings, app_of: Callable[[Settings], LookbookApp]
) -> None:
    app = app_of(blob_settings)
    services = services_of(app)
    sha256 = services.blobs.put(picture())

    @event.listens_for(services.database.engine, "before_cursor_execute")
    def purge(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        # The upload has found the bytes and not written them again, and inserts its rows next. Until then the purger
        # finds no reference to the blob and may delete it.
        if statement.startswith("INSERT INTO blobs"):
            services.blobs.delete([sha256])
            purged.append(sha256)

    purged: list[str] = []
    client = app.test_client()
    job = body_of(upload(client, [(picture(), "a.jpg")]))
    assert purged == [sha256]
    item = body_of(client.get(job["links"]["items"]))["data"][0]
    with client.get(item["image"]["original"]) as original:
        assert original.data == picture()


def jobs_in(app: LookbookApp) -> int:
    services = services_of(app)
    with services.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Job)) or 0


def big(number: int) -> tuple[bytes, str]:
    return bytes([number]) * 100_000, f"{number}.jpg"


@pytest.fixture
def app_on_small_disk(settings: Settings, nearly_full: Path, app_of: Callable[[Settings], LookbookApp]) -> LookbookApp:
    """An application whose blobs are on a nearly full disk and whose database is on another one."""
    elsewhere = f"sqlite:///{settings.home / 'elsewhere.db'}"
    return app_of(settings.with_changes(home=nearly_full, database_url=elsewhere))


def test_a_submission_to_a_full_disk_is_refused_and_leaves_nothing(
    app_on_small_disk: LookbookApp, nearly_full: Path
) -> None:
    client = app_on_small_disk.test_client()
    refused = problem(upload(client, [big(number) for number in range(3)]))
    assert (refused["status"], refused["code"]) == (507, "insufficient_storage")
    assert jobs_in(app_on_small_disk) == 0
    assert files_in(nearly_full) == []
    # A submission for which there is room is accepted.
    assert upload(client, [big(4)]).status_code == 202


def test_a_single_picture_for_a_full_disk_is_refused(app_on_small_disk: LookbookApp, nearly_full: Path) -> None:
    client = app_on_small_disk.test_client()
    assert upload(client, [big(1)]).status_code == 202
    for _ in range(2):
        refused = problem(client.post("/v1/classifications", data=b"x" * 300_000, content_type="image/jpeg"))
        assert (refused["status"], refused["code"]) == (507, "insufficient_storage")
    assert len(files_in(nearly_full)) == 1


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_submission_to_a_full_database_is_refused_and_its_pictures_are_removed(
    kind: str, settings: Settings, request: pytest.FixtureRequest, app_of: Callable[[Settings], LookbookApp]
) -> None:
    if kind == "bucket":
        s3: RunningS3 = request.getfixturevalue("s3")
        bucket = s3.make_bucket()
        settings = settings.with_changes(blobs=f"s3://{bucket}")
    app = app_of(settings)
    services = services_of(app)
    known = services.blobs.put(b"stored by another job")

    @event.listens_for(services.database.engine, "begin")
    def limit_pages(connection: Connection) -> None:
        # SQLite raises this limit to the current size, so there is room for a few rows and not for five hundred.
        connection.exec_driver_sql("PRAGMA max_page_count = 1")

    pictures = [(b"picture %d" % number, "a.jpg") for number in range(500)]
    refused = problem(upload(app.test_client(), [*pictures, (b"stored by another job", "b.jpg")]))
    assert (refused["status"], refused["code"]) == (507, "insufficient_storage")
    assert jobs_in(app) == 0
    left = s3.keys(bucket) if kind == "bucket" else [path.name for path in files_in(settings.blobs_folder)]
    assert [name[-64:] for name in left] == [known]


def test_leftover_blobs_are_removed_unless_they_are_used(database: Database, blob_settings: Settings) -> None:
    blobs = open_blob_store(blob_settings)
    sha256s = [blobs.put(b"%d" % number) for number in range(20)]
    with database.writing() as session:
        session.add(Blob(sha256=sha256s[7], bytes=1, created_at=NOW))
    remove_leftovers(database, blobs, sha256s)
    assert blobs.read(sha256s[7]) == b"7"
    for sha256 in sha256s[:7] + sha256s[8:]:
        with pytest.raises(BlobMissing):
            blobs.read(sha256)
    with database.reading() as session:
        assert session.scalars(select(Blob.sha256)).all() == [sha256s[7]]


def test_submissions_are_refused_while_the_store_is_unavailable(
    settings: Settings, own_s3: RunningS3, app_of: Callable[[Settings], LookbookApp]
) -> None:
    settings = settings.with_changes(blobs=f"s3://{own_s3.make_bucket()}")
    app = app_of(settings)
    client = app.test_client()
    own_s3.kill()
    for answer in (upload(client, [(picture(), "a.jpg"), big(1)]), classify(client)):
        assert problem(answer)["code"] == "blob_store_unavailable"
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert jobs_in(app) == 0
    assert files_in(settings.spool_folder) == []
    assert "blobs" in body_of(client.get("/readyz"))["missing"]


def test_a_store_that_fails_before_the_commit_leaves_no_job(
    settings: Settings, own_s3: RunningS3, app_of: Callable[[Settings], LookbookApp]
) -> None:
    app = app_of(settings.with_changes(blobs=f"s3://{own_s3.make_bucket()}"))
    services = services_of(app)
    services.blobs.put(picture())

    @event.listens_for(services.database.engine, "before_cursor_execute")
    def kill(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO blobs"):
            own_s3.kill()

    assert problem(upload(app.test_client(), [(picture(), "a.jpg")]))["code"] == "blob_store_unavailable"
    assert jobs_in(app) == 0
    with services.database.reading() as session:
        assert session.scalars(select(Item.id)).all() == []


def test_a_missing_bucket_counts_as_an_unavailable_store(
    settings: Settings, s3: RunningS3, app_of: Callable[[Settings], LookbookApp]
) -> None:
    client = app_of(settings.with_changes(blobs="s3://nobody-has-made-it")).test_client()
    assert problem(upload(client, [(picture(), "a.jpg")]))["code"] == "blob_store_unavailable"
    with pytest.raises(BlobStoreUnavailable):
        open_blob_store(settings.with_changes(blobs="s3://nobody-has-made-it")).read("0" * 64)


def test_requests_to_a_hanging_store_time_out(
    settings: Settings, own_s3: RunningS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(s3_store._CLIENT, "timeout", timedelta(seconds=0.5))
    blobs = open_blob_store(settings.with_changes(blobs=f"s3://{own_s3.make_bucket()}"))
    sha256 = blobs.put(b"picture")
    own_s3.process.send_signal(signal.SIGSTOP)
    for use in (lambda: blobs.read(sha256), lambda: blobs.put(b"other"), lambda: blobs.delete(["0" * 64])):
        with pytest.raises(BlobStoreUnavailable):
            use()
    own_s3.process.send_signal(signal.SIGCONT)
    assert blobs.read(sha256) == b"picture"


def test_an_unavailable_store_fails_the_call_and_no_picture(settings: Settings, own_s3: RunningS3) -> None:
    blobs = open_blob_store(settings.with_changes(blobs=f"s3://{own_s3.make_bucket()}"))
    key = (blobs.put(picture()), "")
    decoders = DecoderPool(blobs, 1, DecoderLimits(30, 2**31), 32, InputSpec(224).byte_count)
    spec = InputSpec(224)
    ((_, outcome),) = next(decoders.decode([key], spec, "job", interactive=False))
    assert isinstance(outcome, DecodedPicture)
    own_s3.kill()
    with pytest.raises(BlobStoreUnavailable):
        list(decoders.decode([key] * 20, spec, "job", interactive=False))
    decoders.close()


def test_an_explanation_is_skipped_while_the_store_is_unavailable(
    database: Database, settings: Settings, own_s3: RunningS3
) -> None:
    blobs = open_blob_store(settings.with_changes(blobs=f"s3://{own_s3.make_bucket()}"))
    with database.writing() as session:
        job = a_job(session, ["a"])
        (message,) = chunks.claim(session, job, POLICY, NOW)
        record_chunk(session, message, {(a_blob("a").sha256, ""): scored()})
    item = items.read_first_of_job(database, job.id)
    assert item is not None
    assert item.prediction is not None
    own_s3.kill()
    models, broker = ModelCache(settings), Broker.connect(settings)
    decoders = DecoderPool(blobs, 1, DecoderLimits(30, 2**31), 32, InputSpec(224).byte_count)
    Explainer(database, broker, models, decoders, blobs).explain(item.id, item.prediction.id)
    decoders.close()
    models.close()
    broker.close()


def send(client: FlaskClient, *parts: tuple[str, tuple[str, bytes]], **fields: str) -> TestResponse:
    request = httpx.Request("POST", "http://localhost/v1/jobs", files=list(parts), data=fields)
    return client.post("/v1/jobs", data=request.read(), content_type=request.headers["Content-Type"])


def test_an_archive_is_stored_and_answered_before_reading(
    blob_settings: Settings, app_of: Callable[[Settings], LookbookApp]
) -> None:
    app = app_of(blob_settings.with_changes(max_picture_bytes=1000))
    archive = bytes(range(256)) * 40
    response = send(app.test_client(), ("archive", ("autumn.zip", archive)), name="Autumn")
    assert response.status_code == 202
    job = body_of(response)
    assert (job["source"], job["status"], job["discovering"], job["name"]) == ("archive", "queued", True, "Autumn")
    assert job["counts"]["total"] == 0
    services = services_of(app)
    with services.database.reading() as session:
        discovery = session.scalars(select(Discovery)).one()
    assert (discovery.job_id, discovery.file_name, discovery.position) == (job["id"], "autumn.zip", 0)
    assert services.blobs.read(discovery.blob_sha256 or "") == archive
    assert list(blob_settings.spool_folder.iterdir()) == []


def test_an_archive_has_its_own_limit_and_must_not_be_empty(
    settings: Settings, app_of: Callable[[Settings], LookbookApp]
) -> None:
    app = app_of(settings.with_changes(max_archive_bytes=1000))
    refused = problem(send(app.test_client(), ("archive", ("a.zip", bytes(1001)))))
    assert (refused["status"], refused["code"]) == (413, "too_large")
    refused = problem(send(app.test_client(), ("archive", ("a.zip", b"")), name="x"))
    assert (refused["status"], refused["errors"][0]["pointer"]) == (422, "/archive")
    assert jobs_in(app) == 0


def test_a_job_has_exactly_one_source(settings: Settings, app_of: Callable[[Settings], LookbookApp]) -> None:
    client = app_of(settings).test_client()
    archive, image = ("archive", ("a.zip", b"PK")), ("images", ("a.jpg", picture()))
    refused = problem(send(client, archive, image, image))
    assert (refused["status"], refused["code"]) == (422, "many_sources")
    assert refused["detail"].endswith("got 2 in images, 1 in archive.")
    assert problem(send(client, archive, archive))["code"] == "many_sources"
    assert problem(send(client, ("picture", ("a.jpg", b"x"))))["code"] == "no_source"

"""Regions of items on both databases: their predictions are stored, reused, retried, exported and removed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from pyarrow import parquet
from sqlalchemy import func, select

from api.answers.export_formats import FORMATS
from core.item_errors import BadCrop, ModelFailed, RegionsNotTaken
from core.messages import ChunkMessage
from core.types import Crop, PictureKey, Region
from db import model_versions
from db.blobs.local import LocalBlobStore
from db.database import Database
from db.steps import chunks, lifecycle, submitting
from db.steps.recording import Outcome
from db.steps.submitting import NewItem, NewJob
from db.tables import Item, ItemRegion, ItemStatus, JobSource, Prediction
from db.views import items, jobs
from db.views.exports import Export
from db.views.item_pages import ItemFilter, ItemSort
from db.views.labels import labels_of
from tests.integration.builders import (
    FAILED,
    NOW,
    POLICY,
    a_blob,
    a_garment_model,
    a_model,
    delete_job,
    finish,
    locked_job,
    read_job,
    record_chunk,
    scored,
)
from tests.integration.reading import Place, place
from worker.maintenance.purger import purge

__all__ = ["place"]

TOP, BOTTOM = Region("top", Crop(0, 0, 30, 20)), Region("bottom", Crop(0, 20, 30, 20))
BOTH = (TOP, BOTTOM)


def a_look(content: str, regions: Sequence[Region] = BOTH) -> NewItem:
    return NewItem(f"{content}.jpg", a_blob(content), regions=regions)


def key(content: str, region: Region | None = None) -> PictureKey:
    return a_blob(content).sha256, "" if region is None else region.box.key


def a_queued_look(database: Database, *looks: NewItem) -> tuple[str, list[ChunkMessage]]:
    """Create a job of a model for single garments, and return its id and its messages."""
    with database.writing() as session:
        new = NewJob("looks", JobSource.UPLOADS, a_garment_model(session), top_k=1)
        job, messages = submitting.create_with_chunks(session, new, looks, POLICY, NOW)
        return job.id, messages


def record_outcomes(database: Database, message: ChunkMessage, outcomes: dict[PictureKey, Outcome]) -> None:
    with database.writing() as session:
        record_chunk(session, message, outcomes)


def read_items(database: Database, job_id: str) -> list[Item]:
    with database.reading() as session:
        page = items.list_of_job(session, job_id, ItemFilter(), ItemSort.POSITION, None, 10, with_regions=True)
        return list(page)


def labels(item: Item) -> list[tuple[str, str | None, bool]]:
    """Return name, label and `reused` of each region of an item."""
    return [
        (region.name, region.prediction.label if region.prediction else None, region.reused) for region in item.regions
    ]


def test_a_chunk_has_the_regions_of_each_item_after_its_picture_and_each_region_once(database: Database) -> None:
    # The two items of one picture share the region `top`, under two names.
    shirt = Region("shirt", TOP.box)
    _, messages = a_queued_look(database, a_look("a"), a_look("b", ()), a_look("a", [shirt]))
    with database.reading() as session:
        pictures = items.list_pending_pictures(session, messages[0].chunk_id, with_regions=True)
        assert pictures == [key("a"), key("a", TOP), key("a", BOTTOM), key("b")]
        assert items.list_pending_pictures(session, messages[0].chunk_id) == [key("a"), key("b")]


def test_an_item_succeeds_with_a_prediction_of_its_own_and_one_for_each_region(database: Database) -> None:
    job_id, messages = a_queued_look(database, a_look("a"), a_look("b", ()))
    assert labels(read_items(database, job_id)[0]) == [("top", None, False), ("bottom", None, False)]
    outcomes = {key("a"): scored(), key("a", TOP): scored("shirt", 0.8), key("a", BOTTOM): scored("dress", 0.7)}
    record_outcomes(database, messages[0], outcomes | {key("b"): scored("dress")})
    look, plain = read_items(database, job_id)
    assert (look.status, look.label, plain.label, plain.regions) == (ItemStatus.SUCCEEDED, "shirt", "dress", [])
    assert labels(look) == [("top", "shirt", False), ("bottom", "dress", False)]
    job = read_job(database, job_id)
    assert (job.total, job.succeeded, job.pending) == (2, 2, 0)


def test_an_item_stays_pending_until_every_region_has_an_outcome(database: Database) -> None:
    job_id, messages = a_queued_look(database, a_look("a"))
    record_outcomes(database, messages[0], {key("a"): scored(), key("a", TOP): scored()})
    (item,) = read_items(database, job_id)
    assert (item.status, labels(item)[0]) == (ItemStatus.PENDING, ("top", None, False))
    outcomes = {key("a"): Outcome(is_known=True), key("a", TOP): Outcome(is_known=True), key("a", BOTTOM): scored()}
    record_outcomes(database, messages[0], outcomes)
    (item,) = read_items(database, job_id)
    assert (item.status, item.reused) == (ItemStatus.SUCCEEDED, True)
    assert labels(item) == [("top", "shirt", True), ("bottom", "shirt", False)]


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (BadCrop("expected a crop within the picture"), "region 'bottom': expected a crop within the picture"),
        (ModelFailed("no answer"), "region 'bottom': no answer"),
    ],
)
def test_a_region_that_cannot_be_predicted_fails_its_item_only(
    database: Database, error: BadCrop | ModelFailed, detail: str
) -> None:
    job_id, messages = a_queued_look(database, a_look("a"), a_look("a", [TOP]))
    outcomes = {key("a"): scored(), key("a", TOP): scored(), key("a", BOTTOM): Outcome(error=error)}
    record_outcomes(database, messages[0], outcomes)
    failed, succeeded = read_items(database, job_id)
    assert (failed.status, failed.error_code, failed.error_detail) == (ItemStatus.FAILED, error.code, detail)
    assert (failed.prediction_id, labels(failed)) == (None, [("top", None, False), ("bottom", None, False)])
    assert (succeeded.status, labels(succeeded)) == (ItemStatus.SUCCEEDED, [("top", "shirt", False)])


def test_a_retried_item_gets_the_predictions_of_its_regions(database: Database) -> None:
    job_id, messages = a_queued_look(database, a_look("a"))
    finish(database, messages[0], FAILED)
    with locked_job(database, job_id) as (session, job):
        assert lifecycle.retry_failed_items(session, job, NOW) == 1
        messages = chunks.claim(session, job, POLICY, NOW)
    finish(database, messages[0])
    assert labels(read_items(database, job_id)[0]) == [("top", "shirt", False), ("bottom", "shirt", False)]


def test_a_region_and_an_item_with_the_same_crop_share_one_prediction(database: Database) -> None:
    _, messages = a_queued_look(database, a_look("a", [TOP]))
    finish(database, messages[0])
    job_id, messages = a_queued_look(database, NewItem("cropped.jpg", a_blob("a"), TOP.box))
    record_outcomes(database, messages[0], {key("a", TOP): Outcome(is_known=True)})
    (item,) = read_items(database, job_id)
    assert (item.status, item.reused) == (ItemStatus.SUCCEEDED, True)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Prediction)) == 2


def test_the_regions_of_a_deleted_job_are_removed_with_their_predictions(database: Database, tmp_path: Path) -> None:
    job_id, messages = a_queued_look(database, a_look("a"))
    finish(database, messages[0])
    delete_job(database, job_id)
    purge(database, LocalBlobStore(tmp_path / "blobs"))
    with database.reading() as session:
        assert (session.scalars(select(ItemRegion)).all(), session.scalars(select(Prediction)).all()) == ([], [])


def test_only_models_for_single_garments_take_regions(database: Database) -> None:
    with database.writing() as session:
        model_versions.check_regions(a_garment_model(session))
        with pytest.raises(RegionsNotTaken, match="because the input of test@1 is 'whole'"):
            model_versions.check_regions(a_model(session))


def test_the_only_item_of_a_single_classification_is_read_with_its_regions(database: Database) -> None:
    job_id, messages = a_queued_look(database, a_look("a"))
    finish(database, messages[0])
    item = items.read_first_of_job(database, job_id, with_regions=True)
    assert item is not None
    assert labels(item) == [("top", "shirt", False), ("bottom", "shirt", False)]


REGIONS_CELL = '[{"name":"top","box":"0,0,30,20"},{"name":"bottom","box":{"x":0,"y":20,"width":30,"height":20}}]'


def manifest(*cells: str) -> bytes:
    text = io.StringIO()
    rows = [(f"https://shop.example/{number}.jpg", cell) for number, cell in enumerate(cells)]
    csv.writer(text).writerows([("url", "regions"), *rows])
    return text.getvalue().encode()


def test_rows_of_a_manifest_have_regions(place: Place) -> None:
    data = manifest(REGIONS_CELL, "", '[{"name":"top","box":"0,0,0,20"}]', '[{"box":"0,0,9,9"}]')
    job_id = place.submit(data, "looks.csv", JobSource.MANIFEST, a_garment_model)
    place.expander().run_pending()
    with place.database.reading() as session:
        found = session.scalars(select(ItemRegion).order_by(ItemRegion.position)).all()
        assert [(region.name, region.crop_key) for region in found] == [(r.name, r.box.key) for r in BOTH]
    assert [item.error_code for item in place.items(job_id)] == [None, None, "bad_crop", "bad_row"]


def test_rows_with_regions_fail_for_good_if_the_model_takes_none(place: Place) -> None:
    job_id = place.submit(manifest(REGIONS_CELL, ""), "looks.csv", JobSource.MANIFEST)
    place.expander().run_pending()
    refused, accepted = place.items(job_id)
    assert (refused.status, refused.error_code) == (ItemStatus.FAILED, "regions_not_taken")
    assert accepted.status == ItemStatus.PENDING
    with locked_job(place.database, job_id) as (session, job), pytest.raises(Exception, match="would happen again"):
        lifecycle.retry_failed_items(session, job, NOW)


def test_every_format_of_an_export_has_the_regions(database: Database) -> None:
    job_id, messages = a_queued_look(database, a_look("a"), a_look("b", ()))
    outcomes = {key("a"): scored(), key("a", TOP): scored("shirt", 0.75), key("a", BOTTOM): scored("dress", 0.75)}
    record_outcomes(database, messages[0], outcomes)
    expected = [
        {
            "name": region.name,
            "box": {"x": 0, "y": region.box.y, "width": 30, "height": 20},
            "label": label,
            "confidence": 0.75,
            "labels": [{"id": label, "score": 0.75}],
        }
        for region, label in ((TOP, "shirt"), (BOTTOM, "dress"))
    ]
    with database.reading() as session:
        job = jobs.get(session, job_id)
        assert job is not None
        export = Export.of(job, labels_of(job), ItemFilter())
    files = {
        name: b"".join(kind.encode(export.columns(), export.read_pages(database), {})) for name, kind in FORMATS.items()
    }
    lines = [json.loads(line)["regions"] for line in files["jsonl"].splitlines()]
    cells = [row["regions"] for row in csv.DictReader(io.StringIO(files["csv"].decode("utf-8-sig"), newline=""))]
    column = parquet.read_table(io.BytesIO(files["parquet"])).column("regions").to_pylist()
    assert lines == [expected, None]
    assert [json.loads(cells[0]), cells[1]] == [expected, ""]
    assert [json.loads(column[0]), column[1]] == [expected, None]

"""Sources that workers read: the items that they become, and the removal of their bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from core.clock import utc_now
from core.messages import Queue
from db.steps import submitting
from db.steps.submitting import NewJob, StoredBlob
from db.tables import ApiKey, Chunk, Job, JobSource, JobStatus, Stage
from tests.conftest import RunningRedis
from tests.integration.builders import a_model, deliveries
from tests.integration.reading import Place, a_tar, a_zip, expected, place, small_batches, stored_anywhere
from worker.maintenance.purger import purge

__all__ = ["place", "small_batches", "stored_anywhere"]


@pytest.mark.parametrize("make", [a_zip, a_tar])
def test_members_of_an_archive_become_items_in_their_order(
    stored_anywhere: Place, make: Callable[[int], bytes]
) -> None:
    place = stored_anywhere
    job_id = place.submit(make(10))
    assert place.job(job_id).discovering
    assert place.expander().run_pending() == 1
    job = place.job(job_id)
    assert (job.total, job.pending, job.discovering, job.status) == (10, 10, False, JobStatus.QUEUED)
    assert place.names(job_id) == expected(10)
    for number, item in enumerate(place.items(job_id)):
        assert place.store.read(item.blob_sha256 or "") == f"picture {number}".encode()
    assert list(place.spool.iterdir()) == []
    place.classify_all()
    job = place.job(job_id)
    assert (job.status, job.succeeded) == (JobStatus.COMPLETED, 10)


def test_bad_members_become_failed_items_among_the_others(place: Place) -> None:
    data = a_zip(1, **{"../evil.jpg": b"x", "large.jpg": bytes(200_001), "empty.jpg": b"", "__MACOSX/a": b"x"})
    job_id = place.submit(data)
    place.expander().run_pending()
    codes = {item.source_name: item.error_code for item in place.items(job_id)}
    assert codes == {
        "look/0.jpg": None,
        "../evil.jpg": "archive_unsafe",
        "large.jpg": "too_large",
        "empty.jpg": "empty_file",
    }
    job = place.job(job_id)
    assert (job.total, job.pending, job.failed) == (4, 1, 3)


def test_data_that_is_no_archive_fails_its_job_at_once(place: Place) -> None:
    job_id = place.submit(b"this is no archive", "notes.txt")
    place.expander().run_pending()
    job = place.job(job_id)
    assert (job.status, job.total, job.finished_at is not None) == (JobStatus.FAILED, 0, True)
    assert job.error is not None
    assert job.error["detail"] == "expected a ZIP or TAR file, got something else"


def test_an_archive_without_pictures_fails_its_job(place: Place) -> None:
    job_id = place.submit(a_zip(0, **{"folder/": b"", "Thumbs.db": b"x"}))
    place.expander().run_pending()
    job = place.job(job_id)
    assert (job.status, job.error and job.error["code"]) == (JobStatus.FAILED, "empty_source")


def test_a_truncated_tar_file_keeps_its_items_and_ends_with_an_error_item(place: Place) -> None:
    job_id = place.submit(a_tar(10)[: 10 * 1024], "cut.tar")
    place.expander().run_pending()
    assert place.names(job_id) == [*expected(10), "cut.tar"]
    assert "incomplete" in str(place.items(job_id)[-1].error_detail)


def test_a_job_that_is_canceled_before_reading_ends_at_once_and_is_never_read(place: Place) -> None:
    job_id = place.submit(a_zip(10))
    place.cancel(job_id)
    assert place.job(job_id).status == JobStatus.CANCELED
    place.sweep()
    assert place.expander().run_pending() == 0
    assert place.items(job_id) == []


def test_a_job_that_is_canceled_during_reading_ends_with_the_next_source_batch(place: Place) -> None:
    job_id = place.submit(a_zip(10))
    seen: list[object] = []

    def cancel() -> None:
        seen.append(None)
        if len(seen) == 3:
            place.cancel(job_id)
            job = place.job(job_id)
            seen.append((job.status, job.discovering))

    place.expander(before_commit=cancel).run_pending()
    assert seen == [None, None, None, (JobStatus.QUEUED, True)]
    job = place.job(job_id)
    assert (job.status, job.total, job.canceled, job.discovering) == (JobStatus.CANCELED, 6, 6, False)
    assert [delivery.event for delivery in deliveries(place.database)] == ["job.canceled"]
    # The uncommitted source batch leaves no bytes.
    purge(place.database, place.store)
    assert {item.blob_sha256 for item in place.items(job_id)} == place.blobs()


def test_the_bytes_of_a_source_are_removed_after_it_was_read(stored_anywhere: Place) -> None:
    place = stored_anywhere
    data = a_zip(2)
    first, second = place.submit(data), place.submit(data)
    source = place.discovery(first)
    assert source is not None
    assert source.blob_sha256 is not None
    place.expander().run_pending()
    assert place.discovery(first) is not None
    with place.database.writing() as session:
        # The second job looks as if it were still waiting.
        session.get_one(Job, second).discovering = True
    purge(place.database, place.store)
    assert (place.discovery(first), place.discovery(second) is not None) == (None, True)
    assert source.blob_sha256 in place.blobs()
    with place.database.writing() as session:
        session.get_one(Job, second).discovering = False
    purge(place.database, place.store)
    assert place.discovery(second) is None
    assert source.blob_sha256 not in place.blobs()
    with pytest.raises(Exception, match="no blob"):
        place.store.read(source.blob_sha256)


def test_a_source_that_is_also_a_picture_of_another_job_is_kept(place: Place) -> None:
    data = a_zip(1)
    job_id = place.submit(data)
    with place.database.writing() as session:
        blob = StoredBlob(place.store.put(data), len(data))
        submitting.create(
            session, NewJob("odd", JobSource.UPLOADS, a_model(session)), [submitting.NewItem("x", blob)], utc_now()
        )
    place.expander().run_pending()
    purge(place.database, place.store)
    assert place.discovery(job_id) is None
    assert place.store.read(blob.sha256) == data


def test_the_sweeper_queues_one_message_that_reads_all_waiting_sources(place: Place, redis: RunningRedis) -> None:
    submitted = [place.submit(a_zip(2)) for _ in range(3)]
    for _ in range(4):
        place.sweep()
    assert redis.connection.llen(Queue.INGEST.value) == 1
    expander = place.expander()
    expander.wake()
    expander.close()
    expander = place.expander()
    expander.run_pending()
    assert [place.job(job_id).total for job_id in submitted] == [2, 2, 2]


MANIFEST = """url,id,title,crop,season
https://shop.example/looks/1.jpg,sku-1,Coat,"1,2,30,40",autumn
,sku-2
http://127.0.0.1/2.jpg,sku-3
ftp://shop.example/3.jpg

https://shop.example/looks/%EC%85%94%EC%B8%A0.jpg,sku-5
"""


def test_rows_of_a_manifest_become_items_to_fetch(stored_anywhere: Place) -> None:
    place = stored_anywhere
    job_id = place.submit(MANIFEST.encode(), "looks.csv", JobSource.MANIFEST)
    place.expander().run_pending()
    found = [(item.source_name, item.custom_id, item.error_code) for item in place.items(job_id)]
    assert found == [
        ("1.jpg", "sku-1", None),
        ("row 3", "sku-2", "bad_row"),
        ("2.jpg", "sku-3", "blocked_address"),
        ("row 5", None, "fetch_forbidden"),
        ("셔츠.jpg", "sku-5", None),
    ]
    item = place.items(job_id)[0]
    assert (item.source_url, item.crop_key, item.blob_sha256) == ("https://shop.example/looks/1.jpg", "1,2,30x40", None)
    assert (item.provenance, item.details) == (
        {"product": {"title": "Coat", "product_id": "sku-1"}},
        {"season": "autumn"},
    )
    assert str(place.items(job_id)[2].error_detail).startswith("row 4: ")
    job = place.job(job_id)
    assert (job.total, job.pending, job.failed, job.discovering) == (5, 2, 3, False)
    with place.database.reading() as session:
        assert {chunk.stage for chunk in session.scalars(select(Chunk))} == {Stage.FETCH}


def test_data_that_is_no_manifest_and_a_manifest_without_rows_fail_their_jobs(place: Place) -> None:
    for data, code in ((b"title\na\n", "bad_manifest"), (b"url\n\n", "empty_source")):
        job_id = place.submit(data, "looks.csv", JobSource.MANIFEST)
        place.expander().run_pending()
        job = place.job(job_id)
        assert (job.status, job.error and job.error["code"]) == (JobStatus.FAILED, code)


def test_a_manifest_with_too_many_rows_ends_with_an_error_item(place: Place) -> None:
    data = "url\n" + "".join(f"https://shop.example/{n}.jpg\n" for n in range(9))
    job_id = place.submit(data.encode(), "looks.csv", JobSource.MANIFEST)
    place.expander(members=7).run_pending()
    assert len(place.items(job_id)) == 8
    assert place.items(job_id)[-1].error_code == "bad_manifest"


def test_pictures_within_the_quota_are_kept_when_it_is_exceeded(place: Place) -> None:
    with place.database.writing() as session:
        session.add(ApiKey(id="key_1", name="k", secret_sha256="0" * 64, scopes=[], quota=7, created_at=utc_now()))
    job_id = place.submit(a_zip(10))
    with place.database.writing() as session:
        session.get_one(Job, job_id).key_id = "key_1"
    place.expander().run_pending()
    assert place.names(job_id) == [*expected(7), "catalog.zip"]
    last = place.items(job_id)[-1]
    assert (last.error_code, last.error_retryable) == ("quota_exceeded", False)
    purge(place.database, place.store)
    assert {item.blob_sha256 for item in place.items(job_id)[:7]} == place.blobs()


@pytest.mark.parametrize("folder", ["", "catalog/"])
def test_other_files_of_an_archive_are_counted_and_its_table_describes_the_pictures(place: Place, folder: str) -> None:
    table = "Filename;SKU;Product ID;이름;Shelf\nlook/0.jpg;s-0;p-1;코트;A\n1.JPG;s-1;p-1;;B\nmissing.jpg;s-2;p-2;;\n"
    others = {
        f"{folder}list.csv": table.encode("cp949"),
        "readme.txt": b"Dear colleague",
        "notes": b"",
        "broken.jpg": b"",
        "__MACOSX/a": b"x",
        "Thumbs.db": b"x",
        "prices.csv": b"a,b\n1,2\n",
        "inner.zip": b"PK\x05\x06" + bytes(18),
    }
    job_id = place.submit(a_zip(3, **others))
    place.expander().run_pending()
    items, job = place.items(job_id), place.job(job_id)
    assert [(item.source_name, item.error_code) for item in items] == [
        ("look/0.jpg", None),
        ("look/1.jpg", None),
        ("look/2.jpg", None),
        ("broken.jpg", "empty_file"),
        ("inner.zip", "archive_unsafe"),
    ]
    assert [item.provenance for item in items[:3]] == [
        {"product": {"product_id": "p-1", "sku": "s-0", "title": "코트"}},
        {"product": {"product_id": "p-1", "sku": "s-1"}},
        None,
    ]
    assert [item.details for item in items[:3]] == [{"Shelf": "A"}, {"Shelf": "B"}, None]
    assert (job.left_out, job.total) == (6, 5)
    assert job.columns == {"Filename": "filename", "SKU": "sku", "Product ID": "product_id", "이름": "title"}


def test_the_job_states_what_the_columns_mean_and_takes_what_the_client_says(place: Place) -> None:
    data = b"Bild,Nr,image\nhttps://shop.example/1.jpg,17,https://shop.example/2.jpg\n"
    job_id = place.submit(data, "looks.csv", JobSource.MANIFEST)
    given_id = place.submit(data, "looks.csv", JobSource.MANIFEST, columns={"bild": "url", "Nr": "custom_id"})
    place.expander().run_pending()
    assert place.job(job_id).columns == {"image": "url"}
    assert place.job(given_id).columns == {"Bild": "url", "Nr": "custom_id", "image": "more_urls"}
    assert [item.custom_id for item in place.items(given_id)] == ["17", "17"]

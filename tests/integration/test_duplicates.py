from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.fingerprints import BANDS
from core.messages import ChunkMessage, Queue
from core.types import Crop, PictureInfo
from db.database import Database
from db.steps import chunks, lifecycle, linking, purging, submitting
from db.steps.linking import EarlierItem, FinishedJob, FoundDuplicates, Picture
from db.steps.recording import Outcome
from db.steps.submitting import NewItem, NewJob
from db.tables import Blob, BlobBands, Item, Job, JobSource, JobStatus
from db.views import items
from tests.integration.builders import (
    FAILED,
    NOW,
    POLICY,
    a_blob,
    a_model,
    delete_job,
    finish,
    locked_job,
    read_job,
    record_chunk,
    scored,
    together,
)
from worker.maintenance import linker
from worker.maintenance.linker import Linker

RED, BLUE = bytes((180, 60, 50)), bytes((50, 60, 180))
SHIRT, DRESS = bytes(range(32)), bytes(range(100, 132))


def flipped(found: bytes, bits: int) -> bytes:
    """Return a hash with `bits` bits flipped, spread evenly over the bands."""
    mask = sum(1 << (n % BANDS * 32 + n // BANDS) for n in range(bits))
    return (int.from_bytes(found, "big") ^ mask).to_bytes(32, "big")


def step(number: int) -> bytes:
    """Return a hash with eight bits changed per step, none of them in the first bands."""
    return (int.from_bytes(SHIRT, "big") ^ ((1 << 8 * number) - 1)).to_bytes(32, "big")


def seen(fingerprint: bytes | None, size: tuple[int, int] = (300, 400)) -> Outcome:
    """Return the outcome of a picture with this fingerprint."""
    outcome = scored()
    return Outcome(new_prediction=outcome.new_prediction, info=PictureInfo("jpeg", *size, fingerprint))


def a_job_of(
    database: Database,
    pictures: Sequence[str],
    outcomes: dict[str, Outcome],
    *,
    crops: Sequence[Crop | None] = (),
    order: Sequence[int] | None = None,
    key_id: str | None = None,
) -> str:
    """Create a job of one chunk per picture, record its chunks in `order`, and return its id. The job has ended."""
    new_items = [
        NewItem(f"{n}.jpg", a_blob(content), crop)
        for n, (content, crop) in enumerate(itertools.zip_longest(pictures, crops))
    ]
    with database.writing() as session:
        new = NewJob("test", JobSource.UPLOADS, a_model(session), key_id=key_id)
        policy = chunks.ChunkPolicy(size=1, window=100, deadlines=POLICY.deadlines)
        job, messages = submitting.create_with_chunks(session, new, new_items, policy, NOW)
    for number in order or range(len(messages)):
        with database.writing() as session:
            work = items.list_pending_pictures(session, messages[number].chunk_id)
            results = dict.fromkeys(work, outcomes[pictures[number]])
            record_chunk(session, messages[number], results, policy=policy)
    assert read_job(database, job.id).finished
    return job.id


def links(database: Database, job_id: str) -> list[int | None]:
    """Return, by position, the position of the item that each item is a duplicate of."""
    with database.reading() as session:
        rows = session.execute(
            select(Item.id, Item.position, Item.duplicate_of).where(Item.job_id == job_id).order_by(Item.position)
        ).all()
    positions = {row.id: row.position for row in rows}
    return [None if row.duplicate_of is None else positions[row.duplicate_of] for row in rows]


def earlier(database: Database, job_id: str, position: int = 0) -> list[EarlierItem]:
    with database.reading() as session:
        item = session.scalars(select(Item).where(Item.job_id == job_id, Item.position == position)).one()
        found = items.get(session, item.id)
        assert found is not None
        return linking.find_earlier(session, found, NOW, 50)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_picture_is_linked_to_its_first_item_whatever_the_order_of_recording(
    database: Database, order: tuple[int, ...]
) -> None:
    outcomes = {"large": seen(SHIRT + RED), "dress": seen(DRESS + RED), "small": seen(flipped(SHIRT, 5) + RED)}
    job_id = a_job_of(database, ["large", "dress", "small"], outcomes, order=order)
    assert read_job(database, job_id).duplicates is None
    Linker(database).run_pending()
    assert links(database, job_id) == [None, None, 0]
    assert read_job(database, job_id).duplicates == 1


def test_the_same_bytes_are_linked_even_if_they_cannot_be_opened(database: Database) -> None:
    outcomes = {"broken": FAILED, "flat": seen(None)}
    job_id = a_job_of(database, ["broken", "flat", "broken", "flat"], outcomes)
    Linker(database).run_pending()
    assert links(database, job_id) == [None, None, 0, 1]


def test_pictures_of_another_colour_shape_or_content_are_not_linked(database: Database) -> None:
    outcomes = {
        "red": seen(SHIRT + RED),
        "blue": seen(SHIRT + BLUE),
        "wide": seen(SHIRT + RED, (400, 300)),
        "far": seen(flipped(SHIRT, 31) + RED),
    }
    job_id = a_job_of(database, list(outcomes), outcomes)
    Linker(database).run_pending()
    assert links(database, job_id) == [None] * 4


def test_crops_of_a_picture_are_linked_only_if_they_are_the_same_crop(database: Database) -> None:
    left, right = Crop(0, 0, 10, 10), Crop(10, 0, 10, 10)
    outcomes = {"a": seen(SHIRT + RED), "b": seen(SHIRT + RED)}
    job_id = a_job_of(database, ["a", "a", "a", "a", "b"], outcomes, crops=[None, left, right, left])
    Linker(database).run_pending()
    assert links(database, job_id) == [None, None, None, 1, 0]


def test_items_are_never_linked_to_a_linked_item(database: Database) -> None:
    # Each picture is like the one before it, but the first is not like the last.
    outcomes = {str(n): seen(step(n) + RED) for n in range(8)}
    job_id = a_job_of(database, list(outcomes), outcomes)
    Linker(database).run_pending()
    assert links(database, job_id) == [None, 0, 0, None, 3, 3, None, 6]


def test_linking_again_changes_nothing(database: Database) -> None:
    job_id = a_job_of(database, ["a", "b", "a"], {"a": seen(SHIRT + RED), "b": seen(DRESS + RED)})
    assert Linker(database).run_pending() == 1
    before = read_job(database, job_id)
    assert Linker(database).run_pending() == 0
    with database.writing() as session:
        session.execute(update(Job).values(duplicates=None))
    Linker(database).run_pending()
    assert links(database, job_id) == [None, None, 0]
    assert read_job(database, job_id).duplicates == before.duplicates


def test_finding_duplicates_changes_the_etag(database: Database) -> None:
    job_id = a_job_of(database, ["a", "a"], {"a": seen(SHIRT + RED)})
    before = read_job(database, job_id).revision
    Linker(database).run_pending()
    assert read_job(database, job_id).revision > before


def test_concurrent_linkers_find_the_same_links_as_one(database: Database) -> None:
    outcomes = {f"{n}": seen(flipped(SHIRT, n % 3) + bytes((n // 3 * 20, 0, 0))) for n in range(12)}
    job_ids = [a_job_of(database, list(outcomes), outcomes) for _ in range(3)]
    together([Linker(database).run_pending for _ in range(3)])
    for job_id in job_ids:
        assert links(database, job_id) == [None, 0, 0, None, 3, 3, None, 6, 6, None, 9, 9]


def test_a_retried_job_is_linked_again_when_it_ends_again(database: Database) -> None:
    outcomes = {"a": FAILED, "b": seen(SHIRT + RED)}
    job_id = a_job_of(database, ["a", "b"], outcomes)
    Linker(database).run_pending()
    with locked_job(database, job_id) as (session, job):
        lifecycle.retry_failed_items(session, job, NOW)
        messages = chunks.claim(session, job, POLICY, NOW)
    assert read_job(database, job_id).duplicates is None
    assert Linker(database).run_pending() == 0
    for message in messages:
        finish(database, message, seen(flipped(SHIRT, 2) + RED), NOW + timedelta(seconds=5))
    Linker(database).run_pending()
    assert links(database, job_id) == [None, 0]


def test_links_found_before_a_retry_are_not_stored_after_it(database: Database) -> None:
    job_id = a_job_of(database, ["a", "a"], {"a": seen(SHIRT + RED)})
    later = NOW + timedelta(seconds=5)
    with database.writing() as session:
        session.execute(update(Job).values(finished_at=later))
    with database.writing() as session:
        for ended, duplicate_count in ((NOW, None), (NOW, 1), (later, None), (later, 1)):
            found = FoundDuplicates(FinishedJob(job_id, 2, ended), links=[("itm_x", None)], duplicates=duplicate_count)
            assert bool(linking.store(session, [found])) == (ended == later)


def test_jobs_that_ended_together_are_linked_separately_whatever_their_size(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linker, "MAX_AT_ONCE", 4)
    outcomes = {"a": seen(SHIRT + RED), "b": seen(DRESS + RED), "c": seen(flipped(SHIRT, 1) + RED)}
    contents = ["a", "ac", "b", "cabac", "aa", "", "bab"]
    job_ids = [a_job_of(database, list(content), outcomes) for content in contents if content]
    Linker(database).run_pending()
    expected = [[None], [None, 0], [None], [None, 0, None, 0, 0], [None, 0], [None, None, 0]]
    assert [links(database, job_id) for job_id in job_ids] == expected
    assert [read_job(database, job_id).duplicates for job_id in job_ids] == [0, 1, 0, 3, 1, 1]
    with database.reading() as session:
        assert set(session.scalars(select(BlobBands.blob_sha256))) == {a_blob(content).sha256 for content in "abc"}


def test_a_large_job_without_any_picture_has_no_duplicates(database: Database) -> None:
    with database.writing() as session:
        session.add(
            Job(
                id="job_1",
                name="all lost",
                source=JobSource.ITEMS,
                status=JobStatus.COMPLETED,
                total=1000,
                failed=1000,
                model_version_id=a_model(session).id,
                created_at=NOW,
                finished_at=NOW,
            )
        )
    Linker(database).run_pending()
    assert read_job(database, "job_1").duplicates == 0


def test_pictures_that_are_purged_while_they_are_compared_delay_other_jobs_only_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = {"a": seen(SHIRT + RED), "b": seen(DRESS + RED)}
    purged, kept = (a_job_of(database, [content, content], outcomes) for content in "ab")
    read = linking.list_pictures

    def read_and_purge(session: Session, job_id: str, after: int, limit: int) -> list[Picture]:
        found = read(session, job_id, after, limit)
        if job_id == purged:
            with database.writing() as other:
                purging.remove_items(other, job_id)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(linking, "list_pictures", read_and_purge)
        Linker(database).run_pending()
    Linker(database).run_pending()
    assert links(database, kept) == [None, 0]
    assert read_job(database, purged).duplicates == 0
    with database.reading() as session:
        assert session.scalars(select(BlobBands.blob_sha256)).all() == [a_blob("b").sha256]


def test_the_same_picture_is_found_in_earlier_jobs_of_the_same_owner(database: Database) -> None:
    first = a_job_of(database, ["large"], {"large": seen(SHIRT + RED)})
    second = a_job_of(
        database, ["other", "small"], {"other": seen(DRESS + RED), "small": seen(flipped(SHIRT, 3) + RED)}
    )
    Linker(database).run_pending()
    third = a_job_of(database, ["large"], {"large": seen(SHIRT + RED)})
    assert [(found.item.job_id, found.distance) for found in earlier(database, third)] == [(second, 3), (first, 0)]
    assert [(found.item.job_id, found.distance) for found in earlier(database, second, 1)] == [(first, 3)]
    assert earlier(database, first) == []


def test_the_same_picture_in_a_job_of_another_key_or_a_deleted_job_is_not_found(database: Database) -> None:
    outcomes = {"a": seen(SHIRT + RED)}
    mine = a_job_of(database, ["a"], outcomes, key_id="key_1")
    a_job_of(database, ["a"], outcomes, key_id="key_2")
    a_job_of(database, ["a"], outcomes)
    deleted = a_job_of(database, ["a"], outcomes, key_id="key_1")
    delete_job(database, deleted)
    latest = a_job_of(database, ["a"], outcomes, key_id="key_1")
    assert [found.item.job_id for found in earlier(database, latest)] == [mine]


def test_a_fingerprint_that_is_found_later_is_stored(database: Database) -> None:
    job_id = a_job_of(database, ["a"], {"a": seen(None)})
    with database.writing() as session:
        again = {(a_blob("a").sha256, ""): seen(SHIRT + RED)}
        record_chunk(session, ChunkMessage("chk_gone", job_id, Queue.BULK), again)
    with database.reading() as session:
        assert session.scalars(select(Blob.fingerprint)).one() == SHIRT + RED


def test_bands_are_deleted_with_their_blob(database: Database) -> None:
    job_id = a_job_of(database, ["a"], {"a": seen(SHIRT + RED)})
    Linker(database).run_pending()
    with database.writing() as session:
        assert session.scalars(select(BlobBands.blob_sha256)).all() == [a_blob("a").sha256]
        purging.remove_items(session, job_id)
    with database.reading() as session:
        assert session.scalars(select(BlobBands.blob_sha256)).all() == []
        assert session.scalars(select(Blob.sha256)).all() == []


def test_a_job_larger_than_one_transaction_is_linked_completely(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linker, "MAX_AT_ONCE", 2)
    monkeypatch.setattr(linker, "_PAGE_ITEMS", 3)
    outcomes = {f"{n}": seen(flipped(SHIRT, n % 5) + RED) for n in range(9)}
    job_id = a_job_of(database, list(outcomes), outcomes)
    Linker(database).run_pending()
    assert links(database, job_id) == [None, *[0] * 8]
    with database.reading() as session:
        assert len(session.scalars(select(BlobBands.blob_sha256)).all()) == 9

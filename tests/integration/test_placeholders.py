"""Pictures that stand in place of missing ones: which are recognised, and what a job says when all of it failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.perceptual import is_flat
from core.types import PictureInfo
from db.database import Database
from db.steps import chunks, placeholders, submitting
from db.steps.recording import Outcome
from db.steps.submitting import NewItem, NewJob
from db.tables import Item, Job, JobSource, JobStatus
from db.views import items
from db.views.job import job_out
from tests.integration.builders import NOW, POLICY, a_blob, a_model, record_chunk, scored
from tests.integration.test_tallies import counted, tallied

COUNT = placeholders.MIN_URLS


def a_url_job(
    session: Session, contents: Sequence[str], products: Sequence[str | None], source: JobSource = JobSource.ITEMS
) -> Job:
    new = [
        NewItem(
            f"{n}.jpg",
            a_blob(content),
            source_url=f"https://shop.example/{n}.jpg",
            provenance={"product": {"product_id": product_id}} if product_id else None,
        )
        for n, (content, product_id) in enumerate(zip(contents, products, strict=True))
    ]
    return submitting.create(session, NewJob("x", source, a_model(session)), new, NOW)


def classify(database: Database, job_id: str, outcome: Outcome | None = None) -> None:
    """Record all chunks of a job, one after the other."""
    with database.writing() as session:
        messages = chunks.claim(session, session.get_one(Job, job_id), POLICY, NOW)
    while messages:
        message = messages.pop(0)
        with database.writing() as session:
            pictures = items.list_pending_pictures(session, message.chunk_id)
            outcomes = {picture: outcome or scored() for picture in pictures}
            messages += record_chunk(session, message, outcomes).next_chunks


def codes(database: Database, job_id: str) -> list[str | None]:
    with database.reading() as session:
        query = select(Item.error_code).where(Item.job_id == job_id).order_by(Item.position)
        return list(session.scalars(query))


def test_one_picture_under_many_urls_is_a_placeholder_also_where_it_was_labelled_before(database: Database) -> None:
    contents = ["gone", "coat"] * COUNT
    contents = [content if content == "gone" else f"coat {n}" for n, content in enumerate(contents)]
    with database.writing() as session:
        job_id = a_url_job(session, contents, [f"p-{n}" for n in range(len(contents))]).id
    classify(database, job_id)
    assert codes(database, job_id) == ["placeholder" if content == "gone" else None for content in contents]
    with database.reading() as session:
        job = session.get_one(Job, job_id)
        assert (job.status, job.succeeded, job.failed) == (JobStatus.COMPLETED, COUNT, COUNT)
        assert [(row.code, row.count) for row in job_out(job).failures] == [("placeholder", COUNT)]
        assert tallied(session, job_id) == counted(session, job_id)
        assert session.scalars(select(Item).where(Item.job_id == job_id, Item.position == 0)).one().label is None


@pytest.mark.parametrize(
    ("urls", "products", "source"),
    [
        (2, [None, None], JobSource.ITEMS),
        (COUNT - 1, [None] * (COUNT - 1), JobSource.ITEMS),
        (COUNT, ["the same coat in ten sizes"] * COUNT, JobSource.MANIFEST),
        (COUNT, [None] * COUNT, JobSource.UPLOADS),
    ],
)
def test_a_photo_that_a_shop_uses_several_times_keeps_its_label(
    database: Database, urls: int, products: list[str | None], source: JobSource
) -> None:
    with database.writing() as session:
        job_id = a_url_job(session, ["coat"] * urls, products, source).id
    classify(database, job_id)
    assert codes(database, job_id) == [None] * urls


def test_a_picture_of_one_colour_is_a_placeholder_if_it_came_from_a_url(database: Database) -> None:
    flat = replace(scored(), info=PictureInfo("png", 30, 40, flat=True))
    for source, expected in ((JobSource.ITEMS, "placeholder"), (JobSource.UPLOADS, None)):
        with database.writing() as session:
            job_id = a_url_job(session, [f"flat {source}"], [None], source).id
        classify(database, job_id, flat)
        assert codes(database, job_id) == [expected]


def test_a_plain_fabric_is_not_of_one_colour() -> None:
    random = np.random.default_rng(1)
    colour = np.full((300, 400, 3), (180, 40, 60), np.uint8)
    assert is_flat(colour)
    assert is_flat(colour + random.integers(0, 3, colour.shape, np.uint8))
    assert not is_flat(colour + random.integers(0, 9, colour.shape, np.uint8))
    light = colour + np.linspace(0, 12, 400)[None, :, None].astype(np.uint8)
    assert not is_flat(light)

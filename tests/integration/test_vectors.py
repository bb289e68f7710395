"""Vectors in the database: with which predictions they are stored, how they are read, and when they are removed."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from sqlalchemy import func, select

from core.messages import ChunkMessage
from core.vectors import decode, encode
from db.database import Database
from db.steps import purging, submitting
from db.steps.recording import find_predictions
from db.steps.submitting import NewItem, NewJob
from db.tables import JobSource, Prediction, Vector
from db.views import items, jobs, vectors
from tests.integration.builders import NOW, POLICY, a_blob, a_model, an_embedding_model, finish, record_chunk, scored


def submit(database: Database, pictures: list[str], *, has_embedding: bool = True, stores: bool = True) -> ChunkMessage:
    """Submit pictures as one chunk."""
    with database.writing() as session:
        model = an_embedding_model(session) if has_embedding else a_model(session)
        new = NewJob("vectors", JobSource.UPLOADS, model, vectors=stores)
        items = [NewItem(f"{picture}.jpg", a_blob(picture)) for picture in pictures]
        (message,) = submitting.create_with_chunks(session, new, items, POLICY, NOW)[1]
    return message


def record_with_vectors(database: Database, message: ChunkMessage) -> None:
    """Record a chunk whose n-th picture has the vector [n, n, n, n]."""
    with database.writing() as session:
        pictures = items.list_pending_pictures(session, message.chunk_id)
        outcomes = {
            picture: scored(vector=encode(np.full(4, number, np.float32))) for number, picture in enumerate(pictures)
        }
        record_chunk(session, message, outcomes)


def count(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Vector)) or 0


def test_values_beyond_float16_become_its_largest_and_others_are_rounded() -> None:
    stored = decode(encode(np.array([0.1, -1e9, 1e9, 2.0], np.float32)))
    assert stored.dtype == np.float16
    assert stored.tolist() == [float(np.float16(0.1)), -65504.0, 65504.0, 2.0]


def test_the_vectors_of_a_job_are_read_in_the_order_of_its_items(database: Database) -> None:
    message = submit(database, ["a", "b", "c"])
    record_with_vectors(database, message)
    with database.reading() as session:
        (block,) = vectors.read_job(session, message.job_id)
    assert block.positions == [0, 1, 2]
    assert len(block.item_ids) == 3
    assert block.vectors.tolist() == [[n] * 4 for n in range(3)]


def test_a_job_that_leaves_vectors_out_stores_none(database: Database) -> None:
    record_with_vectors(database, submit(database, ["a", "b"], stores=False))
    assert count(database) == 0


def test_a_picture_without_a_vector_is_predicted_once_more_for_a_job_that_stores_them(database: Database) -> None:
    record_with_vectors(database, submit(database, ["a", "b"], stores=False))
    message = submit(database, ["a", "b"])
    with database.reading() as session:
        model = jobs.read_job_model(session, message.job_id)
        assert model is not None
        pictures = items.list_pending_pictures(session, message.chunk_id)
        known = find_predictions(session, model.model_version_id, pictures)
        assert len(known) == 2
        assert find_predictions(session, model.model_version_id, pictures, with_vectors=True) == {}
    record_with_vectors(database, message)
    with database.reading() as session:
        assert find_predictions(session, model.model_version_id, pictures, with_vectors=True) == known
        assert session.scalar(select(func.count()).select_from(Prediction)) == 2


def test_a_model_without_an_embedding_stores_no_vectors(database: Database) -> None:
    message = submit(database, ["a", "b"], has_embedding=False)
    finish(database, message)
    with database.reading() as session:
        assert list(vectors.read_job(session, message.job_id)) == []
        model = jobs.read_job_model(session, message.job_id)
    assert model is not None
    assert not model.stores_vectors


def test_a_vector_is_removed_with_the_last_job_that_has_its_picture(database: Database) -> None:
    first, second = submit(database, ["a", "b"]), submit(database, ["b", "c"])
    record_with_vectors(database, first)
    record_with_vectors(database, second)
    assert count(database) == 3
    with database.writing() as session:
        purging.remove_items(session, first.job_id)
    assert count(database) == 2
    with database.writing() as session:
        purging.remove_items(session, second.job_id)
        purging.finish_purge(session, second.job_id, NOW + timedelta(days=1))
    assert count(database) == 0

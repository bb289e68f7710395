"""Jobs whose pictures have vectors, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import select

from core.vectors import encode
from db.database import Database
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob
from db.tables import Item, JobSource
from db.views import items
from tests.integration.builders import NOW, POLICY, a_blob, an_embedding_model, record_chunk, scored


def angle(degrees: float) -> list[float]:
    """Return a vector of length 4 in this direction of a plane. Its similarity is the cosine of the difference."""
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees))), 0.0, 0.0]


def a_catalog(
    database: Database,
    vectors: Mapping[str, Sequence[float] | None],
    *,
    owner: str | None = None,
    products: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, str]:
    """Create a finished job of pictures with these contents and vectors (None: without). Return the ids of its items.

    `products`: what a shop says about the product of some pictures.
    """
    described = products or {}
    new_items = [
        NewItem(
            f"{content}.jpg",
            a_blob(content),
            provenance={"product": dict(described[content])} if content in described else None,
        )
        for content in vectors
    ]
    with database.writing() as session:
        new = NewJob("catalog", JobSource.UPLOADS, an_embedding_model(session), key_id=owner)
        job, messages = submitting.create_with_chunks(session, new, new_items, POLICY, NOW)
    outcomes = {
        a_blob(content).sha256: scored(vector=None if vector is None else encode(np.array(vector, np.float32)))
        for content, vector in vectors.items()
    }
    while messages:
        with database.writing() as session:
            message = messages.pop()
            pictures = items.list_pending_pictures(session, message.chunk_id)
            recorded = record_chunk(session, message, {picture: outcomes[picture[0]] for picture in pictures})
            messages.extend(recorded.next_chunks)
    with database.reading() as session:
        rows = session.execute(select(Item.source_name, Item.id).where(Item.job_id == job.id))
        return {row.source_name.removesuffix(".jpg"): row.id for row in rows}


def job_of(database: Database, item_id: str) -> str:
    with database.reading() as session:
        return session.scalars(select(Item.job_id).where(Item.id == item_id)).one()

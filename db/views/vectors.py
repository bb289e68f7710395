"""Read vectors: those of a job's items, and those of pictures that another version has classified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.types import PictureKey
from core.vectors import decode_all
from db.bulk import in_values
from db.tables import Item, ModelVersion, Prediction, Vector

BLOCK = 2000
"""Vectors that one query reads."""


@dataclass(frozen=True, slots=True)
class ItemVectors:
    """The vectors of some items of a job, in the order of their positions."""

    item_ids: list[str]
    positions: list[int]
    vectors: NDArray[np.float16]
    """float16 [N, length]."""


def read_job(session: Session, job_id: str) -> Iterator[ItemVectors]:
    """Read the vectors of a job's items, block by block. Items without a vector are left out.

    All of them are of the job's model version, because a job has only one.
    """
    after = -1
    while True:
        rows = session.execute(
            select(Item.id, Item.position, Vector.data)
            .join(Vector, Vector.prediction_id == Item.prediction_id)
            .where(Item.job_id == job_id, Item.position > after)
            .order_by(Item.position)
            .limit(BLOCK)
        ).all()
        if not rows:
            return
        after = rows[-1].position
        yield ItemVectors([row.id for row in rows], [row.position for row in rows], decode_all([r.data for r in rows]))


def find_of_backbone(
    session: Session, model_version_id: int, pictures: Sequence[PictureKey]
) -> dict[PictureKey, bytes]:
    """Return the vectors of those of the pictures that another version with the same backbone has classified.

    The head of the version turns them into its scores, so that these pictures need not be opened.
    """
    if not pictures:
        return {}
    version = session.get_one(ModelVersion, model_version_id)
    # Only a version that was taught or calibrated has the backbone of an earlier one.
    if version.backbone in {None, version.digest}:
        return {}
    others = [row.id for row in session.scalars(select(ModelVersion)) if row.backbone == version.backbone]
    requested = set(pictures)
    rows = session.execute(
        select(Prediction.blob_sha256, Prediction.crop_key, Vector.data)
        .join(Vector, Vector.prediction_id == Prediction.id)
        .where(
            in_values(session, Prediction.blob_sha256, sorted({sha256 for sha256, _ in requested})),
            Prediction.model_version_id.in_(others),
        )
    )
    found = {(row.blob_sha256, row.crop_key): row.data for row in rows}
    return {picture: data for picture, data in found.items() if picture in requested}

"""The linker: finds the items of a job that show the same picture, once the job is over.

Off the way of a picture, since indexing costs more than recording; and at the end, since only then it is known which
item came first. Any number may run at once, and one that was interrupted is repeated: what is found depends on nothing
but the items.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

import numpy as np
import structlog
from numpy.typing import ArrayLike, NDArray

from core.fingerprints import BANDS, Fingerprint, alike, bands
from db import duplicates
from db.duplicates import AT_ONCE, CANDIDATES, Link, Picture
from db.engine import Database

log = structlog.get_logger(__name__)

_JOBS_AT_ONCE = 100


def find_duplicates(database: Database) -> int:
    """Look at all jobs that are over and were not looked at; how many."""
    done = 0
    while True:
        with database.reading() as session:
            jobs = duplicates.unlinked(session, _JOBS_AT_ONCE)
        for job in jobs:
            if job.total == 1:
                _index_only(database, job.id, job.finished_at)
            else:
                _index(database, job.id)
                _link(database, job.id, job.finished_at)
        done += len(jobs)
        if len(jobs) < _JOBS_AT_ONCE:
            return done


def _index_only(database: Database, job_id: str, ended: datetime | None) -> None:
    """A picture by itself is nobody's duplicate."""
    with database.writing() as session:
        duplicates.index_blobs(session, job_id, -1)
        duplicates.close(session, job_id, ended, 0)


def _index(database: Database, job_id: str) -> None:
    position: int | None = -1
    while position is not None:
        with database.writing() as session:
            position = duplicates.index_blobs(session, job_id, position)


def _link(database: Database, job_id: str, ended: datetime | None) -> None:
    with database.reading() as session:
        suspected = suspects(duplicates.pictures(session, job_id))
    with database.reading() as session:
        found, changes = links(duplicates.pictures(session, job_id), suspected)
    for start in range(0, len(changes), AT_ONCE):
        with database.writing() as session:
            if not duplicates.link(session, job_id, ended, changes[start : start + AT_ONCE]):
                return
    with database.writing() as session:
        closed = duplicates.close(session, job_id, ended, found)
    if closed and found:
        log.info("duplicates_found", job=job_id, duplicates=found)


def suspects(pictures: Iterable[Picture]) -> set[int]:
    """Positions of pictures that have their bytes, or a band, in common with another.

    Found by sorting numbers: of a job of a million items not everything has to be in memory at once.
    """
    positions, same = array("q"), array("q")
    printed, parts = array("q"), array("i")
    for picture in pictures:
        positions.append(picture.position)
        same.append(hash((picture.sha256, picture.crop_key)))
        if picture.fingerprint is not None:
            printed.append(picture.position)
            parts.extend(bands(picture.fingerprint))
    found = _shared(positions, same)
    columns = np.array(parts, np.int32).reshape(-1, BANDS).T
    return found.union(*(_shared(printed, column) for column in columns))


def _shared(positions: ArrayLike, values: ArrayLike) -> set[int]:
    """Positions whose values are not theirs alone."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    shared: NDArray[np.int64] = np.array(positions, np.int64)[counts[which] > 1]
    return set(shared.tolist())


def links(pictures: Iterable[Picture], suspected: set[int]) -> tuple[int, list[Link]]:
    """How many of the pictures, given by position, are duplicates; and what of that is not stored yet.

    A duplicate is linked to the first picture that it is alike and that is no duplicate itself: of those that are
    hidden, one always remains to be seen.
    """
    originals = _Originals()
    found, changes = 0, list[Link]()
    for picture in pictures:
        first = originals.of(picture) if picture.position in suspected else None
        found += first is not None
        if first != picture.duplicate_of:
            changes.append((picture.item_id, first))
    return found, changes


class _Originals:
    """The pictures so far that are no duplicates."""

    def __init__(self) -> None:
        self._by_bytes: dict[tuple[str, str], str] = {}
        self._by_band: defaultdict[tuple[int, int], list[Picture]] = defaultdict(list)

    def of(self, picture: Picture) -> str | None:
        """The id of the item that this one is a duplicate of; None if it is another original."""
        key = (picture.sha256, picture.crop_key)
        known = self._by_bytes.get(key)
        if known is not None:
            return known
        near = None if picture.fingerprint is None else self._near(picture, picture.fingerprint)
        self._by_bytes[key] = near or picture.item_id
        return near

    def _near(self, picture: Picture, fingerprint: Fingerprint) -> str | None:
        found: Picture | None = None
        lists = [self._by_band[band] for band in enumerate(bands(fingerprint))]
        for original in (original for originals in lists for original in originals):
            earlier = found is None or original.position < found.position
            if earlier and alike(original.fingerprint or b"", fingerprint, original.aspect / picture.aspect):
                found = original
        if found is not None:
            return found.item_id
        for originals in lists:
            # Thousands that agree in a band are another kind of picture: of one design, or of nearly nothing.
            if len(originals) < CANDIDATES:
                originals.append(picture)
        return None

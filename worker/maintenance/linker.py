"""The linker finds items of a finished job that show the same picture, and links each duplicate to its original.

It runs apart from classifying, because indexing a picture costs more than recording it. It runs after the job is
finished, because the order of the items is certain only then. Several workers may link the same job, and an
interrupted run may be repeated, because the result depends only on the items.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy.exc import IntegrityError

from core.fingerprints import Fingerprint, alike, bands
from core.perceptual import bands_of
from db.database import Database
from db.steps import linking
from db.steps.linking import MAX_AT_ONCE, MAX_CANDIDATES, BlobBandValues, FinishedJob, FoundDuplicates, Link, Picture
from worker.background import BackgroundThreads

log = structlog.get_logger(__name__)

_MAX_JOBS = 100
"""Finished jobs that are read at a time."""
_PAGE_ITEMS = 10 * MAX_AT_ONCE
"""Items of a large job that are read at a time."""


class Linker(BackgroundThreads[list[FinishedJob]]):
    """Links the duplicates of finished jobs: of a large job alone, of several small jobs in one transaction."""

    def __init__(self, database: Database) -> None:
        # One thread only, because a second one would find the same jobs.
        super().__init__("linker", max_threads=1)
        self._database = database

    def _take(self) -> list[FinishedJob] | None:
        with self._database.reading() as session:
            return _first_transaction(linking.list_unlinked_jobs(session, _MAX_JOBS)) or None

    def _do(self, jobs: list[FinishedJob]) -> None:
        try:
            if jobs[0].total > MAX_AT_ONCE:
                self._link_large(jobs[0])
            else:
                self._link_small(jobs)
        except IntegrityError:
            # The purger removed items of these jobs meanwhile. The next run finds whatever is left of the jobs.
            log.info("purged_meanwhile", jobs=[job.id for job in jobs])

    def _link_small(self, jobs: Iterable[FinishedJob]) -> None:
        found = []
        with self._database.reading() as session:
            for job in jobs:
                pictures = linking.list_pictures(session, job.id, -1, MAX_AT_ONCE)
                candidates = _Candidates()
                candidates.add(pictures)
                duplicates, changes = find_links(pictures, candidates.positions())
                found.append(FoundDuplicates(job, _new_bands(pictures), changes, duplicates))
        self._store(found)

    def _link_large(self, job: FinishedJob) -> None:
        """Link a job of up to a million items. They are read twice in pages, so that not all are in memory at once."""
        candidates = _Candidates()
        for page in self._pages(job):
            candidates.add(page)
            for start in range(0, len(page), MAX_AT_ONCE):
                new = _new_bands(page[start : start + MAX_AT_ONCE])
                if new and not self._store([FoundDuplicates(job, new)]):
                    return
        duplicates, changes = find_links(chain.from_iterable(self._pages(job)), candidates.positions())
        *parts, last = [changes[start : start + MAX_AT_ONCE] for start in range(0, len(changes) or 1, MAX_AT_ONCE)]
        for part in parts:
            if not self._store([FoundDuplicates(job, links=part)]):
                return
        self._store([FoundDuplicates(job, links=last, duplicates=duplicates)])

    def _pages(self, job: FinishedJob) -> Iterator[list[Picture]]:
        after = -1
        while True:
            with self._database.reading() as session:
                page = linking.list_pictures(session, job.id, after, _PAGE_ITEMS)
            yield page
            if len(page) < _PAGE_ITEMS:
                return
            after = page[-1].position

    def _store(self, found: Sequence[FoundDuplicates]) -> bool:
        """Store what was found. Return False to stop the caller, if nothing was stored or the worker stops."""
        if self.stopping.is_set():
            return False
        with self._database.writing() as session:
            stored = linking.store(session, found)
        for part in stored:
            if part.duplicates:
                log.info("duplicates_found", job=part.job.id, duplicates=part.duplicates)
        return bool(stored)


def _first_transaction(jobs: Iterable[FinishedJob]) -> list[FinishedJob]:
    """Return the first job, and those after it that together with it are small enough for one transaction."""
    first_jobs, items = list[FinishedJob](), 0
    for job in jobs:
        items += job.total
        if first_jobs and items > MAX_AT_ONCE:
            break
        first_jobs.append(job)
    return first_jobs


def _new_bands(pictures: Iterable[Picture]) -> list[BlobBandValues]:
    """Return the bands of those blobs that are not in the index of fingerprints yet."""
    new = {p.sha256: p.fingerprint for p in pictures if p.fingerprint is not None and not p.indexed}
    return list(zip(new, bands_of(list(new.values())).tolist(), strict=True))


class _Candidates:
    """Finds the pictures that may have duplicates, by sorting numbers. Only these pictures are compared in full."""

    def __init__(self) -> None:
        # Pairs of positions and values. A value is a hash of bytes and crop, or the bands of a fingerprint.
        self._bytes: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._bands: list[tuple[NDArray[np.int64], NDArray[np.int32]]] = []

    def add(self, pictures: Sequence[Picture]) -> None:
        hashes = np.array([hash((p.sha256, p.crop_key)) for p in pictures], np.int64)
        self._bytes.append((np.array([p.position for p in pictures], np.int64), hashes))
        whole = [(p.position, fingerprint) for p in pictures if (fingerprint := p.whole_fingerprint) is not None]
        positions = np.array([position for position, _ in whole], np.int64)
        self._bands.append((positions, bands_of([fingerprint for _, fingerprint in whole])))

    def positions(self) -> set[int]:
        """Return the positions of the pictures that share their bytes or a band with another picture."""
        found = _shared(*_joined(self._bytes))
        positions, columns = _joined(self._bands)
        return found.union(*(_shared(positions, column) for column in columns.T))


def _joined(parts: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> tuple[NDArray[Any], NDArray[Any]]:
    first, second = zip(*parts, strict=True)
    return np.concatenate(first), np.concatenate(second)


def _shared(positions: NDArray[np.int64], values: NDArray[Any]) -> set[int]:
    """Return the positions whose value occurs more than once."""
    order = values.argsort()
    ordered = values[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    return set(positions[order[np.concatenate((same, same + 1))]].tolist())


def find_links(pictures: Iterable[Picture], candidates: set[int]) -> tuple[int, list[Link]]:
    """Return the number of duplicates among the pictures, and the links that differ from the stored ones.

    Only pictures at the positions `candidates` are compared. A duplicate is linked to the first alike picture that is
    not a duplicate itself, so that hiding all duplicates always leaves one of the alike pictures visible.
    """
    originals = _Originals()
    duplicates, changes = 0, list[Link]()
    for picture in pictures:
        original = originals.original_of(picture) if picture.position in candidates else None
        duplicates += original is not None
        if original != picture.duplicate_of:
            changes.append((picture.item_id, original))
    return duplicates, changes


class _Originals:
    """The originals among the pictures seen so far."""

    def __init__(self) -> None:
        self._by_bytes: dict[tuple[str, str], str] = {}
        self._by_band: defaultdict[tuple[int, int], list[Picture]] = defaultdict(list)

    def original_of(self, picture: Picture) -> str | None:
        """Return the id of the item that a picture is a duplicate of. Return None if it is a new original."""
        key = (picture.sha256, picture.crop_key)
        known = self._by_bytes.get(key)
        if known is not None:
            return known
        alike_id = None if picture.whole_fingerprint is None else self._find_alike(picture, picture.whole_fingerprint)
        self._by_bytes[key] = alike_id or picture.item_id
        return alike_id

    def _find_alike(self, picture: Picture, fingerprint: Fingerprint) -> str | None:
        """Return the item id of the first original that is alike. If none is, remember the picture as an original."""
        found: Picture | None = None
        lists = [self._by_band[band] for band in enumerate(bands(fingerprint))]
        for original in (original for originals in lists for original in originals):
            earlier = found is None or original.position < found.position
            if earlier and alike(original.fingerprint or b"", fingerprint, original.aspect / picture.aspect):
                found = original
        if found is not None:
            return found.item_id
        for originals in lists:
            # If thousands of originals share a band, the band says little: they have one design, or are nearly empty.
            if len(originals) < MAX_CANDIDATES:
                originals.append(picture)
        return None

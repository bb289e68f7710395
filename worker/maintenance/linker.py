"""The linker: finds the items of a job that show the same picture, once the job is over.

Off the way of a picture, since indexing costs more than recording; and at the end, since only then it is known which
item came first. Any number of workers may do it at once, and what was interrupted is repeated: what is found depends on
nothing but the items.
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

_JOBS_AT_ONCE = 100
_PAGE = 10 * MAX_AT_ONCE
"""So many items of a large job are read at once."""


class Linker(BackgroundThreads[list[FinishedJob]]):
    """Looks at jobs that are over and were not looked at: small ones several at a time."""

    def __init__(self, database: Database) -> None:
        # One thread: a second would find the same jobs.
        super().__init__("linker", max_threads=1)
        self._database = database

    def _take(self) -> list[FinishedJob] | None:
        with self._database.reading() as session:
            return _together(linking.list_unlinked_jobs(session, _JOBS_AT_ONCE)) or None

    def _do(self, jobs: list[FinishedJob]) -> None:
        try:
            if jobs[0].total > MAX_AT_ONCE:
                self._look_at_large(jobs[0])
            else:
                self._look_at(jobs)
        except IntegrityError:
            # They are past retention, and will be found again: what is left of them, if anything.
            log.info("purged_meanwhile", jobs=[job.id for job in jobs])

    def _look_at(self, jobs: Iterable[FinishedJob]) -> None:
        found = []
        with self._database.reading() as session:
            for job in jobs:
                pictures = linking.list_pictures(session, job.id, -1, MAX_AT_ONCE)
                numbers = _Numbers()
                numbers.add(pictures)
                number, changes = links(pictures, numbers.shared())
                found.append(FoundDuplicates(job, _new_bands(pictures), changes, number))
        self._store(found)

    def _look_at_large(self, job: FinishedJob) -> None:
        """Of a job of a million items not everything has to be in memory at once: it is read twice."""
        numbers = _Numbers()
        for page in self._pages(job):
            numbers.add(page)
            for start in range(0, len(page), MAX_AT_ONCE):
                new = _new_bands(page[start : start + MAX_AT_ONCE])
                if new and not self._store([FoundDuplicates(job, new)]):
                    return
        number, changes = links(chain.from_iterable(self._pages(job)), numbers.shared())
        *parts, last = [changes[start : start + MAX_AT_ONCE] for start in range(0, len(changes) or 1, MAX_AT_ONCE)]
        for part in parts:
            if not self._store([FoundDuplicates(job, links=part)]):
                return
        self._store([FoundDuplicates(job, links=last, duplicates=number)])

    def _pages(self, job: FinishedJob) -> Iterator[list[Picture]]:
        after = -1
        while True:
            with self._database.reading() as session:
                page = linking.list_pictures(session, job.id, after, _PAGE)
            yield page
            if len(page) < _PAGE:
                return
            after = page[-1].position

    def _store(self, found: Sequence[FoundDuplicates]) -> bool:
        """Whether anything of it was stored, and more may be."""
        if self.stopping.is_set():
            return False
        with self._database.writing() as session:
            stored = linking.store(session, found)
        for part in stored:
            if part.duplicates:
                log.info("duplicates_found", job=part.job.id, duplicates=part.duplicates)
        return bool(stored)


def _together(jobs: Iterable[FinishedJob]) -> list[FinishedJob]:
    """The first of the jobs; and those behind it, as long as one transaction will do for all of them."""
    some, items = list[FinishedJob](), 0
    for job in jobs:
        items += job.total
        if some and items > MAX_AT_ONCE:
            break
        some.append(job)
    return some


def _new_bands(pictures: Iterable[Picture]) -> list[BlobBandValues]:
    """Of blobs that are not found by their fingerprints yet."""
    new = {p.sha256: p.fingerprint for p in pictures if p.fingerprint is not None and not p.indexed}
    return list(zip(new, bands_of(list(new.values())).tolist(), strict=True))


class _Numbers:
    """What of pictures is compared at first, as numbers to be sorted."""

    def __init__(self) -> None:
        # Positions and values: of bytes (and crops), and of bands.
        self._bytes: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._bands: list[tuple[NDArray[np.int64], NDArray[np.int32]]] = []

    def add(self, pictures: Sequence[Picture]) -> None:
        same = np.array([hash((p.sha256, p.crop_key)) for p in pictures], np.int64)
        self._bytes.append((np.array([p.position for p in pictures], np.int64), same))
        whole = [(p.position, print_) for p in pictures if (print_ := p.seen_whole) is not None]
        positions = np.array([position for position, _ in whole], np.int64)
        self._bands.append((positions, bands_of([print_ for _, print_ in whole])))

    def shared(self) -> set[int]:
        """Positions of pictures that have their bytes, or a band, in common with another."""
        found = _shared(*_joined(self._bytes))
        positions, columns = _joined(self._bands)
        return found.union(*(_shared(positions, column) for column in columns.T))


def _joined(parts: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> tuple[NDArray[Any], NDArray[Any]]:
    first, second = zip(*parts, strict=True)
    return np.concatenate(first), np.concatenate(second)


def _shared(positions: NDArray[np.int64], values: NDArray[Any]) -> set[int]:
    """Positions whose values are not theirs alone."""
    order = values.argsort()
    ordered = values[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    return set(positions[order[np.concatenate((same, same + 1))]].tolist())


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
        near = None if picture.seen_whole is None else self._near(picture, picture.seen_whole)
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
            if len(originals) < MAX_CANDIDATES:
                originals.append(picture)
        return None

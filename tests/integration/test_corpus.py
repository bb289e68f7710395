"""The corpus of broken and odd pictures, straight through decoder processes. The command sends it through a service."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from classifier.prepare import InputSpec
from core.item_errors import ItemError
from core.pictures import load
from core.settings import Settings
from db.blobs.local import LocalBlobStore
from tests.corpus.bombs import packed_pixels
from tests.corpus.building import build
from tests.corpus.case import Case
from tests.corpus.odd import odd_pictures
from tests.corpus.running import BYTES, ERRORS
from worker.decoding.decoder import DecoderLimits
from worker.decoding.pool import DecodedPicture, DecodeOutcome, DecoderPool

FEWEST = 1500
SPEC = InputSpec(32)


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


@pytest.fixture
def decoders(store: LocalBlobStore) -> Iterator[DecoderPool]:
    """Decoders with the limits that users get."""
    settings = Settings()
    limits = DecoderLimits(settings.decode_seconds, settings.decode_megabytes * 2**20)
    pool = DecoderPool(store, 2, limits, 64, SPEC.byte_count)
    yield pool
    pool.close()


def outcomes(decoders: DecoderPool, store: LocalBlobStore, cases: list[Case]) -> Iterator[tuple[Case, DecodeOutcome]]:
    keys = [(store.put(case.data), "") for case in cases]
    found = (pair for call in decoders.decode(keys, SPEC, "job", interactive=False) for pair in call)
    for case, (_, outcome) in zip(cases, found, strict=True):
        if isinstance(outcome, DecodedPicture):
            outcome.release()
        yield case, outcome


def one_of_each(cases: list[Case]) -> list[Case]:
    """Return one file of each kind of damage in each format. Numbers in names are places, values and sizes."""
    groups: defaultdict[tuple[str, ...], list[Case]] = defaultdict(list)
    for case in cases:
        damage, _, base = case.name.rpartition("/")
        groups[case.kind, re.sub(r"\d+", "", damage), re.split("[-.]", base)[0]].append(case)
    return [group[len(group) // 2] for group in groups.values()]


def test_each_file_of_the_corpus_ends_as_pixels_or_as_a_documented_error(
    decoders: DecoderPool, store: LocalBlobStore
) -> None:
    cases = list(build(slow=False))
    assert len({case.name for case in cases}) == len(cases)
    assert len(cases) >= FEWEST
    cases = one_of_each(cases)
    before = {process.pid for process in psutil.Process().children()}
    wrong = []
    for case, outcome in outcomes(decoders, store, cases):
        code = outcome.code if isinstance(outcome, ItemError) else None
        if code not in {None, *ERRORS} or (case.is_picture is not None and case.is_picture != (code is None)):
            wrong.append(f"{case.name}: {outcome}")
    assert wrong == []
    # None of these files kills or stalls its decoder.
    assert before <= {process.pid for process in psutil.Process().children()}


def test_a_picture_of_49_million_pixels_stays_below_512_mebibytes(decoders: DecoderPool, store: LocalBlobStore) -> None:
    case = next(case for case in packed_pixels() if case.name == "unpacked/rgba-7000.png")
    ((_, outcome),) = outcomes(decoders, store, [case])
    assert isinstance(outcome, DecodedPicture)
    statuses = [Path(f"/proc/{child.pid}/status") for child in psutil.Process().children()]
    for status in statuses:
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        assert int(lines["VmHWM"].split()[0]) * 1024 < BYTES


def test_odd_pictures_show_what_was_stored() -> None:
    differences = {}
    for odd in odd_pictures():
        pixels = np.asarray(load(odd.data)[0], int)
        if odd.shows is not None and pixels.shape != odd.shows.shape:
            differences[odd.name] = str(pixels.shape)
        elif odd.shows is not None and (most := np.abs(pixels - odd.shows).max()) > odd.tolerance:
            differences[odd.name] = f"{most} > {odd.tolerance}"
    assert differences == {}

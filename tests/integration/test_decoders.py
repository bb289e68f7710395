from __future__ import annotations

import hashlib
import io
import multiprocessing
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from PIL import Image
from structlog.testing import capture_logs

import worker.decoding.decoder
import worker.decoding.pool
from classifier.prepare import InputSpec, Prepared, prepare
from core.item_errors import DecodeFailed, DecodeTimeout, ItemError, PictureLost, TooMuchMemory, TruncatedImage
from core.perceptual import fingerprint
from core.settings import Settings
from core.types import Crop, PictureKey
from db.blobs.local import LocalBlobStore
from db.blobs.opening import open_blob_store
from db.blobs.store import BlobStore
from samples import broken
from tests.conftest import SAMPLES, until
from tests.integration.fragile_decoders import (
    BAD_LATER,
    FILLS_MEMORY,
    KILLED_ONCE,
    SPEC,
    STALL,
    SUICIDE,
    TOO_LARGE,
    fragile_start,
    good_files,
)
from worker.decoding.decoder import Answer, DecoderLimits
from worker.decoding.memory_limit import MemoryLimit
from worker.decoding.pool import DEATHS_TO_BLAME, PICTURES_PER_CALL, DecodedPicture, DecodeOutcome, DecoderPool


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


@pytest.fixture
def fragile(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[DecoderPool]:
    monkeypatch.setattr(worker.decoding.pool, "start_decoder", fragile_start)
    decoders = DecoderPool(store, 1, DecoderLimits(3.0, 2**32), 32, SPEC.byte_count)
    yield decoders
    decoders.close()


def decode(decoders: DecoderPool, store: BlobStore, files: list[bytes]) -> list[DecodeOutcome]:
    keys = [(store.put(data), "") for data in files]
    results = [pair for call in decoders.decode(keys, SPEC, "job", interactive=False) for pair in call]
    assert [key for key, _ in results] == keys
    return [outcome for _, outcome in results]


def test_a_picture_that_kills_its_decoder_fails_alone(fragile: DecoderPool, store: LocalBlobStore) -> None:
    outcomes = decode(fragile, store, [*good_files(2), SUICIDE, *good_files(5)[2:]])
    assert isinstance(outcomes[2], DecodeFailed)
    assert all(isinstance(outcome, DecodedPicture) for outcome in outcomes[:2] + outcomes[3:])


def test_a_picture_that_stalls_its_decoder_fails_alone(fragile: DecoderPool, store: LocalBlobStore) -> None:
    outcomes = decode(fragile, store, [STALL, *good_files(1)])
    assert isinstance(outcomes[0], DecodeTimeout)
    assert isinstance(outcomes[1], DecodedPicture)


@pytest.mark.parametrize(("bad", "deaths"), [(STALL, 1), (SUICIDE, DEATHS_TO_BLAME)])
def test_the_pictures_beside_a_bad_one_do_not_wait_for_more_decoders_to_die(
    fragile: DecoderPool, store: LocalBlobStore, bad: bytes, deaths: int
) -> None:
    files = good_files(PICTURES_PER_CALL)
    with capture_logs() as logs:
        outcomes = decode(fragile, store, [*files[:5], bad, *files[6:]])
    assert [isinstance(outcome, DecodedPicture) for outcome in outcomes] == [True] * 5 + [False] + [True] * 2
    assert sum(line["event"] == "decoder_died" for line in logs) == deaths


def test_killing_a_decoder_from_outside_fails_no_picture(
    fragile: DecoderPool, store: LocalBlobStore, tmp_path: Path
) -> None:
    (outcome,) = decode(fragile, store, [KILLED_ONCE + str(tmp_path / "killed").encode()])
    assert isinstance(outcome, DecodedPicture)


def test_a_picture_gets_the_whole_memory_of_a_decoder_whatever_was_decoded_before(
    fragile: DecoderPool, store: LocalBlobStore
) -> None:
    files = [FILLS_MEMORY, *good_files(3), FILLS_MEMORY, TOO_LARGE, *good_files(8), FILLS_MEMORY, TOO_LARGE]
    for data, outcome in zip(files, decode(fragile, store, files), strict=True):
        assert isinstance(outcome, TooMuchMemory if data == TOO_LARGE else DecodedPicture)


def test_idle_decoders_that_die_are_replaced(fragile: DecoderPool, store: LocalBlobStore) -> None:
    decode(fragile, store, good_files(1))
    for process in multiprocessing.active_children():
        process.kill()
        process.join()
    for interactive in (False, True):
        key = (store.put(good_files(2)[interactive]), "")
        ((_, outcome),) = next(fragile.decode([key], SPEC, "job", interactive=interactive))
        assert isinstance(outcome, DecodedPicture)


def test_decoding_with_a_closed_pool_raises_an_error(store: LocalBlobStore) -> None:
    decoders = DecoderPool(store, 1, DecoderLimits(30, 2**32), 32, SPEC.byte_count)
    decoders.close()
    with pytest.raises(RuntimeError, match="closed"):
        list(decoders.decode([(store.put(good_files(1)[0]), "")], SPEC, "job", interactive=False))


def test_a_bad_picture_among_good_ones_gives_an_error_in_its_place(store: LocalBlobStore) -> None:
    decoders = DecoderPool(store, 2, DecoderLimits(30, 2**32), 32, InputSpec(224).byte_count)
    outcomes = decode(decoders, store, [broken.truncated_jpeg(), *good_files(10)])
    assert isinstance(outcomes[0], TruncatedImage)
    assert all(isinstance(outcome, DecodedPicture) for outcome in outcomes[1:])
    decoders.close()


def test_every_slot_for_pixels_is_released_whatever_happens(fragile: DecoderPool, store: LocalBlobStore) -> None:
    free = fragile._slots.free()
    files = [SUICIDE, broken.truncated_jpeg(), *good_files(9), broken.text()]
    for outcome in decode(fragile, store, files):
        if isinstance(outcome, DecodedPicture):
            outcome.release()
    keys = [(store.put(data), "") for data in good_files(12)]
    # This caller gives up after the first answer.
    calls = fragile.decode(keys, SPEC, "job", interactive=False)
    for _, outcome in next(calls):
        assert isinstance(outcome, DecodedPicture)
        outcome.release()
    assert isinstance(calls, Generator)
    calls.close()
    until(lambda: fragile._slots.free() == free)


def test_slots_that_bad_pictures_leave_are_used_at_once(
    store: LocalBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.decoding.pool, "start_decoder", fragile_start)
    monkeypatch.setattr(worker.decoding.pool, "IDLE_SECONDS", 30.0)
    # The interactive call takes the only slots that bulk calls may use.
    decoders = DecoderPool(
        store, 1, DecoderLimits(20.0, 2**32), worker.decoding.pool.PICTURES_PER_CALL, SPEC.byte_count
    )
    bad, good = store.put(BAD_LATER + str(tmp_path / "go").encode()), store.put(good_files(1)[0])
    free = decoders._slots.free()
    with ThreadPoolExecutor() as threads:
        bads = [(bad, "")] * worker.decoding.pool.PICTURES_PER_CALL
        interactive = threads.submit(lambda: list(decoders.decode(bads, SPEC, "job", interactive=True)))
        until(lambda: decoders._slots.free() < free)
        bulk = threads.submit(lambda: list(decoders.decode([(good, "")], SPEC, "other job", interactive=False)))
        time.sleep(0.3)  # The feeder of the bulk decoder finds no slots, and waits.
        (tmp_path / "go").touch()
        assert all(isinstance(outcome, DecodeFailed) for _, outcome in interactive.result()[0])
        ((_, outcome),) = bulk.result(10)[0]
    assert isinstance(outcome, DecodedPicture)
    decoders.close()


def test_a_crop_whose_whole_picture_needs_too_much_memory_fails_alone(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare_crops_only(data: bytes, spec: InputSpec, crop: Crop | None = None, **_: object) -> Prepared:
        if crop is None and data == files[0]:
            raise MemoryError
        return prepare(data, spec, crop)

    monkeypatch.setattr(worker.decoding.decoder, "prepare", prepare_crops_only)
    files = good_files(2)
    crop, other = (store.put(files[0]), Crop(0, 0, 20, 20).key), (store.put(files[1]), "")
    memory = bytearray(2 * 32 * 32 * 3)

    def decode_in_new_process(pictures: list[PictureKey]) -> list[Answer]:
        decoder = worker.decoding.decoder._Decoder(store, memory, SPEC.byte_count, MemoryLimit(2**32))
        return decoder.decode_all(lambda _: None, pictures, [0, 1][: len(pictures)], SPEC)

    with pytest.raises(MemoryError):
        decode_in_new_process([crop, other])
    (failed,) = decode_in_new_process([crop])
    assert isinstance(failed, TooMuchMemory)


def huge_picture(form: str = "PNG", mode: str = "L") -> bytes:
    """Return a picture of 49 million pixels, which takes 49 MB or more in memory."""
    out = io.BytesIO()
    Image.new(mode, (7000, 7000)).save(out, form, lossless=True, quality=0, method=0)
    return out.getvalue()


def test_a_picture_that_exceeds_its_memory_fails_alone(store: LocalBlobStore) -> None:
    decoders = DecoderPool(store, 1, DecoderLimits(30, 300 * 2**20), 32, SPEC.byte_count)
    # The library of WebP does not say that it lacks memory.
    outcomes = decode(decoders, store, [huge_picture("PNG", "RGBA"), huge_picture("WEBP", "RGB"), *good_files(2)])
    assert isinstance(outcomes[0], TooMuchMemory)
    assert isinstance(outcomes[1], DecodeFailed)
    for outcome in outcomes[:2]:
        assert isinstance(outcome, ItemError)
        assert outcome.detail.endswith("more memory than LOOKBOOK_DECODE_MEGABYTES allows (300 MiB)")
    assert all(isinstance(outcome, DecodedPicture) for outcome in outcomes[2:])
    decoders.close()


def test_the_memory_of_a_huge_picture_is_released(store: LocalBlobStore) -> None:
    decoders = DecoderPool(store, 1, DecoderLimits(30, 2**32), 32, SPEC.byte_count)
    outcomes = decode(decoders, store, [huge_picture()])
    assert isinstance(outcomes[0], DecodedPicture)
    children = [psutil.Process(process.pid) for process in multiprocessing.active_children()]
    assert max(process.memory_info().rss for process in children) < 150 * 2**20
    decoders.close()


def test_decoders_read_every_kind_of_store_and_a_missing_blob_fails_alone(
    blob_settings: Settings,
) -> None:
    store = open_blob_store(blob_settings)
    # The default memory, because the threads of an S3 client need a part of it.
    decoders = DecoderPool(
        store, 1, DecoderLimits(30, blob_settings.decode_megabytes * 2**20), 32, InputSpec(224).byte_count
    )
    outcomes = decode(decoders, store, good_files(12))
    assert all(isinstance(outcome, DecodedPicture) for outcome in outcomes)
    good = hashlib.sha256(good_files(1)[0]).hexdigest()
    ((_, lost), (_, found)) = next(decoders.decode([("0" * 64, ""), (good, "")], SPEC, "job", interactive=False))
    assert isinstance(lost, PictureLost)
    assert isinstance(found, DecodedPicture)
    found.release()
    decoders.close()


def test_the_fingerprint_of_a_crop_is_that_of_the_whole_picture(store: LocalBlobStore) -> None:
    decoders = DecoderPool(store, 1, DecoderLimits(30, 2**32), 32, SPEC.byte_count)
    key = store.put((SAMPLES / "jacket-denim.jpg").read_bytes())
    spec = InputSpec(224)
    pictures = [(key, ""), (key, Crop(100, 100, 300, 300).key)]
    results = [found for call in decoders.decode(pictures, spec, "job", interactive=False) for _, found in call]
    whole, part = (found.info.fingerprint for found in results if isinstance(found, DecodedPicture))
    assert whole is not None
    assert whole == part == fingerprint(prepare(store.read(key), spec).picture)
    decoders.close()

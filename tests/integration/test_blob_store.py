"""Tests that run for every kind of blob store."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable

import obstore
import pytest
from obstore.store import S3Store

from core.errors import BlobDamaged, BlobMissing
from core.settings import Settings
from db.blobs.opening import open_blob_store
from db.blobs.spool import BlobWriter
from db.blobs.store import THUMBNAIL, BlobStore
from tests.conftest import RunningS3
from tests.integration.apps import files_in


@pytest.fixture
def store(blob_settings: Settings) -> BlobStore:
    return open_blob_store(blob_settings)


@pytest.fixture
def kept(request: pytest.FixtureRequest, blob_settings: Settings) -> Callable[[], list[str]]:
    """A function that returns the names of all files in the store."""
    if blob_settings.blobs:
        bucket, _, prefix = blob_settings.blobs.removeprefix("s3://").partition("/")
        s3: RunningS3 = request.getfixturevalue("s3")
        return lambda: [key.removeprefix(f"{prefix}/") for key in s3.keys(bucket)]
    return lambda: [path.name for path in files_in(blob_settings.blobs_folder) if path.parent.name != "tmp"]


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def finished(store: BlobStore, data: bytes) -> BlobWriter:
    writer = store.writer()
    writer.write(data)
    writer.finish()
    return writer


def test_bytes_are_stored_under_their_sha256(store: BlobStore) -> None:
    sha256 = store.put(b"picture")
    assert sha256 == sha256_of(b"picture")
    assert store.read(sha256) == b"picture"
    with store.open(sha256) as file:
        assert (file.read(3), file.read()) == (b"pic", b"ture")
        file.seek(1)
        assert file.read() == b"icture"


def test_the_same_bytes_are_stored_once(store: BlobStore, kept: Callable[[], list[str]]) -> None:
    assert store.put(b"picture") == store.put(b"picture")
    assert len(kept()) == 1


def damage(settings: Settings, sha256: str) -> None:
    """Replace the bytes of a blob, as no store would."""
    if settings.blobs:
        bucket = S3Store.from_url(settings.blobs, client_options={"allow_http": True})
        obstore.put(bucket, f"{sha256[:2]}/{sha256}", b"another picture")
    else:
        (settings.blobs_folder / sha256[:2] / sha256).write_bytes(b"another picture")


def test_damaged_bytes_are_set_aside_and_replaced_by_good_ones(
    store: BlobStore, blob_settings: Settings, kept: Callable[[], list[str]]
) -> None:
    sha256 = store.put(b"picture")
    store.put_derived(sha256, THUMBNAIL, b"of the picture")
    store.check(sha256)
    for read in (store.read, store.check, lambda sha256: list(store.read_all([sha256]))):
        damage(blob_settings, sha256)
        with pytest.raises(BlobDamaged, match="another SHA-256"):
            read(sha256)
        with pytest.raises(BlobMissing):
            store.open(sha256).read()
        assert store.read_derived(sha256, THUMBNAIL) is None
        assert store.put(b"picture") == sha256
        assert store.read(sha256) == b"picture"
    # An upload meets damaged bytes before anything has read them.
    damage(blob_settings, sha256)
    writer = finished(store, b"picture")
    store.commit([writer])
    assert (writer.created, writer.found) == (True, False)
    assert store.read(sha256) == b"picture"
    assert len(kept()) == 2


def test_several_blobs_are_committed_together(store: BlobStore, kept: Callable[[], list[str]]) -> None:
    known = store.put(b"known")
    writers = [finished(store, data) for data in (b"known", *(b"new %d" % number for number in range(40)), b"new 1")]
    store.commit(writers)
    assert [writer.found for writer in writers].count(True) == 2
    assert writers[0].found
    assert writers[0].sha256 == known
    assert len(kept()) == 41
    assert list(store.read_all([writers[7].sha256, known])) == [b"new 6", b"known"]


def test_a_blob_is_not_stored_before_commit_and_leaves_nothing_after_abort(
    store: BlobStore, blob_settings: Settings
) -> None:
    writer = store.writer()
    writer.write(b"half a ")
    writer.write(memoryview(b"picture"))
    with pytest.raises(BlobMissing):
        store.read(writer.finish())
    writer.abort()
    writer.abort()
    assert files_in(blob_settings.home) == []


def test_abort_after_commit_keeps_the_blob_and_removes_the_spooled_file(
    store: BlobStore, blob_settings: Settings
) -> None:
    writer = finished(store, b"picture")
    store.commit([writer])
    writer.abort()
    assert store.read(writer.sha256) == b"picture"
    assert files_in(blob_settings.spool_folder) == []


def test_a_finished_write_holds_no_file_open(store: BlobStore) -> None:
    writer = finished(store, b"picture")
    with pytest.raises(ValueError, match="closed"):
        writer.write(b"more")
    assert writer.finish() == sha256_of(b"picture")
    writer.abort()


def test_a_large_blob_is_put_in_parts_and_read_back(store: BlobStore, kept: Callable[[], list[str]]) -> None:
    piece = bytes(range(256)) * 4096
    writers = []
    for _ in range(2):
        writer = store.writer()
        for _ in range(33):
            writer.write(piece)
        writer.finish()
        store.commit([writer])
        writers.append((writer.created, writer.found))
        writer.abort()
    assert writers == [(True, False), (False, True)]
    assert len(kept()) == 1
    with store.open(writer.sha256) as file:
        assert all(file.read(len(piece)) == piece for _ in range(33))
        assert file.read() == b""


def test_ensure_stores_a_blob_again_that_was_deleted_before_its_row_was_committed(store: BlobStore) -> None:
    """A purger deletes an unused blob while a submission that has found it has not committed its reference yet."""
    store.put(b"picture")
    again = finished(store, b"picture")
    store.commit([again])
    assert again.found
    # The purger has seen no item that refers to the blob, and commits before the submission does.
    store.delete([again.sha256])
    with pytest.raises(BlobMissing):
        store.read(again.sha256)
    store.ensure([again])
    again.abort()
    assert store.read(again.sha256) == b"picture"


def test_ensure_does_not_change_blobs_that_still_exist(store: BlobStore, kept: Callable[[], list[str]]) -> None:
    store.put(b"picture")
    writers = [finished(store, b"picture"), finished(store, b"other picture")]
    store.commit(writers)
    before = kept()
    store.ensure(writers)
    assert kept() == before
    store.ensure([])


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "/.."])
def test_only_sha256_digests_are_accepted_as_names(store: BlobStore, name: str) -> None:
    for use in (store.read, store.open, lambda sha256: store.delete([sha256])):
        with pytest.raises(ValueError, match="SHA-256"):
            use(name)


def test_derived_files_are_stored_beside_their_blob(store: BlobStore) -> None:
    sha256 = store.put(b"picture")
    assert store.read_derived(sha256, THUMBNAIL) is None
    store.put_derived(sha256, THUMBNAIL, b"small")
    store.put_derived(sha256, THUMBNAIL, b"smaller")
    assert store.read_derived(sha256, THUMBNAIL) == b"smaller"
    assert store.read(sha256) == b"picture"
    with pytest.raises(ValueError, match="one dot"):
        store.put_derived(sha256, "../x.png", b"")


def test_no_derived_file_is_stored_for_a_missing_blob(store: BlobStore, blob_settings: Settings) -> None:
    for data in (b"deleted", b"never there"):
        sha256 = sha256_of(data)
        store.put_derived(sha256, THUMBNAIL, b"small")
        assert store.read_derived(sha256, THUMBNAIL) is None
    assert files_in(blob_settings.spool_folder) == []


def test_deleting_a_blob_deletes_its_derived_files_and_nothing_else(
    store: BlobStore, kept: Callable[[], list[str]]
) -> None:
    doomed = [store.put(b"%d" % number) for number in range(30)]
    spared = store.put(b"spared")
    for sha256 in (*doomed[:3], spared):
        store.put_derived(sha256, THUMBNAIL, b"small")
        store.put_derived(sha256, "prd_1.png", b"heat")
    store.delete([*doomed, sha256_of(b"never there")])
    store.delete(doomed)
    store.delete([])
    assert len(kept()) == 3
    assert store.read(spared) == b"spared"
    assert store.read_derived(spared, "prd_1.png") == b"heat"
    assert store.read_derived(doomed[0], THUMBNAIL) is None


def test_a_store_can_be_passed_to_another_process(store: BlobStore) -> None:
    sha256 = store.put(b"picture")
    other: BlobStore = pickle.loads(pickle.dumps(store))
    assert other.read(sha256) == b"picture"


def test_a_ping_of_an_available_store_succeeds(store: BlobStore) -> None:
    store.ping()

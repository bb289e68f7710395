"""Reading archives: which members are read, which are refused, and where reading ends."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.item_errors import ItemError, SourceEnded
from core.sources.archives import ArchiveLimits, archive_members

LIMITS = ArchiveLimits(members=50, member_bytes=2 * 2**20, unpacked_bytes=16 * 2**20)
NOISE = os.urandom(3 * 2**20)


@dataclass
class Read:
    """The contents of an archive."""

    files: dict[str, bytes] = field(default_factory=dict)
    refused: dict[str, ItemError] = field(default_factory=dict)
    skipped: int = 0
    ended: ItemError | None = None

    @property
    def codes(self) -> dict[str, str]:
        return {name: error.code for name, error in self.refused.items()}


def read(data: bytes, limits: ArchiveLimits = LIMITS) -> Read:
    found = Read()
    try:
        for member in archive_members(io.BytesIO(data), limits):
            if member.error is not None:
                found.refused[member.name] = member.error
            elif member.pieces is None:
                found.skipped += 1
            else:
                try:
                    found.files[member.name] = b"".join(member.pieces())
                except ItemError as error:
                    found.refused[member.name] = error
    except SourceEnded as ended:
        found.ended = ended.reason
    return found


def a_zip(files: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return buffer.getvalue()


def a_tar(files: Iterable[tuple[str, bytes]], kind: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def a_tar_of(*infos: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info in infos:
            archive.addfile(info)
    return buffer.getvalue()


MAKERS: dict[str, Callable[[Iterable[tuple[str, bytes]]], bytes]] = {
    "zip": a_zip,
    "stored zip": lambda files: a_zip(files, zipfile.ZIP_STORED),
    "bzip2 zip": lambda files: a_zip(files, zipfile.ZIP_BZIP2),
    "tar": a_tar,
    "gnu tar": lambda files: a_tar(files, tarfile.GNU_FORMAT),
    "tar.gz": lambda files: gzip.compress(a_tar(files)),
    "tar.bz2": lambda files: bz2.compress(a_tar(files)),
    "tar.xz": lambda files: lzma.compress(a_tar(files)),
}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[[Iterable[tuple[str, bytes]]], bytes]:
    return MAKERS[request.param]


Make = Callable[[Iterable[tuple[str, bytes]]], bytes]


def test_every_kind_of_archive_gives_back_its_files(make: Make) -> None:
    long_name = "폴더/" + "아주-긴-이름-" * 20 + ".jpg"
    files = {
        "a.jpg": NOISE[: 2**19],
        "folder/한글 셔츠.png": b"b" * 5000,
        long_name: b"c",
        "no suffix": NOISE[:70_000],
    }
    # The first member is as large as the limit.
    found = read(make(files.items()), ArchiveLimits(50, 2**19, 2**24))
    assert found.files == files
    assert (found.refused, found.ended) == ({}, None)


def test_folders_and_files_of_operating_systems_are_skipped(make: Make) -> None:
    litter = ["__MACOSX/._a.jpg", "a/.DS_Store", "Thumbs.db", "b/desktop.ini", ".git/config", "./._x"]
    found = read(make([(name, b"x") for name in litter] + [("./a.jpg", b"a")]))
    assert (found.files, found.refused, found.skipped) == ({"./a.jpg": b"a"}, {}, len(litter))


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "b/../../a.jpg", "..\\a.jpg", "C:\\a.jpg", "\\\\host\\a"])
def test_names_that_lead_out_of_the_archive_are_refused_and_the_others_are_read(make: Make, name: str) -> None:
    found = read(make([("before.jpg", b"1"), (name, b"x"), ("after.jpg", b"2")]))
    assert found.files == {"before.jpg": b"1", "after.jpg": b"2"}
    assert list(found.codes.values()) == ["archive_unsafe"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_second_member_of_the_same_name_is_refused(make: Make) -> None:
    found = read(make([("a.jpg", b"first"), ("a.jpg", b"second")]))
    assert found.files == {"a.jpg": b"first"}
    assert found.codes == {"a.jpg": "archive_unsafe"}


def test_a_member_that_unpacks_to_a_hundred_times_its_size_is_refused(make: Make) -> None:
    data = make([("bomb.bmp", bytes(16 * 2**20)), ("a.jpg", b"a")])
    found = read(data, ArchiveLimits(9, 2**24, 2**26))
    # An archive without compression is as large as its members, so nothing in it is a bomb.
    bombs = {} if len(data) > 16 * 2**20 else {"bomb.bmp": "archive_unsafe"}
    assert (found.codes, found.files.pop("a.jpg")) == (bombs, b"a")
    assert ("bomb.bmp" in found.files) != bool(bombs)


def test_a_member_larger_than_the_limit_for_pictures_is_refused(make: Make) -> None:
    # The limits are small here, because compressing noise takes long.
    found = read(make([("large.jpg", NOISE[: 2**18]), ("a.jpg", b"a")]), ArchiveLimits(50, 2**17, 2**24))
    assert (found.codes, found.files) == ({"large.jpg": "too_large"}, {"a.jpg": b"a"})


def test_an_empty_member_is_refused_as_no_image(make: Make) -> None:
    assert read(make([("empty.jpg", b"")])).codes == {"empty.jpg": "empty_file"}


@pytest.mark.parametrize(
    "inner", [a_zip([("a", b"a")]), gzip.compress(b"x", mtime=0), a_tar([("a", b"a")]), b"7z\xbc\xaf\x27\x1c"]
)
def test_an_archive_within_an_archive_is_not_opened(make: Make, inner: bytes) -> None:
    found = read(make([("inner", inner), ("a.jpg", b"a")]))
    assert (found.codes, found.files) == ({"inner": "archive_unsafe"}, {"a.jpg": b"a"})


def test_reading_ends_at_the_limit_of_members(make: Make) -> None:
    found = read(make([(f"{n}.jpg", b"x") for n in range(51)]))
    assert found.ended is not None
    assert found.ended.code == "archive_unsafe"
    assert "at most 50 members" in found.ended.detail


def test_reading_ends_at_the_limit_of_unpacked_bytes(make: Make) -> None:
    limits = ArchiveLimits(members=50, member_bytes=2**20, unpacked_bytes=16 * 2**17)
    found = read(make([(f"{n}.jpg", NOISE[: 2**17]) for n in range(20)]), limits)
    assert found.ended is not None
    assert "unpacked bytes" in found.ended.detail
    assert 10 <= len(found.files) <= 16


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if "tar" in kind])
def test_a_truncated_tar_file_gives_the_members_before_the_cut(kind: str) -> None:
    whole = MAKERS[kind]([(f"{n}.jpg", NOISE[n * 400_000 :][:400_000]) for n in range(5)])
    found = read(whole[: len(whole) // 2])
    assert found.ended is not None
    assert "incomplete" in found.ended.detail
    assert list(found.files) == [f"{n}.jpg" for n in range(len(found.files))]
    assert 1 <= len(found.files) <= 3
    assert found.refused == {}


def test_a_tar_file_without_an_end_mark_counts_as_truncated() -> None:
    whole = a_tar([("a.jpg", b"a" * 512)], tarfile.USTAR_FORMAT)
    found = read(whole[:1024])
    assert list(found.files) == ["a.jpg"]
    assert found.ended is not None


def test_a_truncated_zip_file_gives_no_members() -> None:
    found = read(a_zip([("a.jpg", NOISE[:5000])])[:-30])
    assert found.files == {}
    assert found.ended is not None
    assert "incomplete" in found.ended.detail


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "pipe"),
    ],
)
def test_links_devices_and_pipes_in_a_tar_file_are_refused(kind: bytes, word: str) -> None:
    info, after = tarfile.TarInfo("strange"), tarfile.TarInfo("folder")
    info.type, info.linkname, after.type = kind, "/etc/passwd", tarfile.DIRTYPE
    found = read(a_tar_of(info, after))
    assert word in found.refused["strange"].detail
    assert (found.skipped, found.ended) == (1, None)


def test_links_and_encrypted_members_of_a_zip_file_are_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("link.jpg")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("secret.jpg", b"x" * 100)
        archive.writestr("a.jpg", b"a")
    data = bytearray(buffer.getvalue())
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"secret.jpg"))
    data[entry + 8] |= 1
    found = read(bytes(data))
    assert (found.codes, found.files) == (dict.fromkeys(["link.jpg", "secret.jpg"], "archive_unsafe"), {"a.jpg": b"a"})


def test_an_unknown_compression_method_is_refused() -> None:
    found = read(a_zip([("a.jpg", b"a" * 100)], zipfile.ZIP_LZMA))
    assert "compression method LZMA" in found.refused["a.jpg"].detail


def test_members_that_share_bytes_are_refused() -> None:
    data = bytearray(a_zip([("a.jpg", NOISE[:5000]), ("b.jpg", NOISE[5000:9000])], zipfile.ZIP_STORED))
    entry = data.rindex(b"PK\x01\x02")
    # The second entry points to the bytes of the first one.
    data[entry + 42 : entry + 46] = bytes(4)
    found = read(bytes(data))
    assert (found.codes, found.files) == (dict.fromkeys(["a.jpg", "b.jpg"], "archive_unsafe"), {})


def test_members_with_a_wrong_size_in_the_directory_are_refused() -> None:
    for announced in (10, 10**6):
        data = bytearray(a_zip([("a.jpg", b"a" * 5000), ("b.jpg", b"b")]))
        entry = data.index(b"PK\x01\x02")
        data[entry + 24 : entry + 28] = struct.pack("<L", announced)
        found = read(bytes(data))
        assert (found.codes, found.files) == ({"a.jpg": "archive_unsafe"}, {"b.jpg": b"b"})


def test_a_member_with_a_wrong_checksum_is_refused_as_damaged() -> None:
    data = bytearray(a_zip([("a.jpg", b"a" * 5000), ("b.jpg", b"b")], zipfile.ZIP_STORED))
    data[100] ^= 0xFF
    found = read(bytes(data))
    assert "damaged" in found.refused["a.jpg"].detail
    assert found.files == {"b.jpg": b"b"}


def test_a_directory_that_announces_too_many_entries_is_refused_before_reading() -> None:
    data = bytearray(a_zip([("a.jpg", b"a")]))
    end = data.rindex(b"PK\x05\x06")
    data[end + 8 : end + 12] = struct.pack("<2H", 60_000, 60_000)
    found = read(bytes(data))
    assert found.ended is not None
    assert "at most 50 members" in found.ended.detail


def test_zip64_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    files = {"a.jpg": NOISE[:5000], "b.jpg": b"b" * 3000}
    data = a_zip(files.items())
    assert b"PK\x06\x06" in data
    assert read(data).files == files


def test_a_zip_file_that_follows_a_program_is_read() -> None:
    assert read(b"MZ" + NOISE[:1000] + a_zip([("a.jpg", b"a")])).files == {"a.jpg": b"a"}


def test_names_in_the_encoding_of_korean_windows_are_read() -> None:
    raw = "셔츠.jpg".encode("cp949")
    data = a_zip([("x" * len(raw), b"a")]).replace(b"x" * len(raw), raw)
    assert list(read(data).files) == ["셔츠.jpg"]


def test_concatenated_and_padded_gzip_streams_are_read_as_one_file() -> None:
    whole = a_tar([("a.jpg", NOISE[:200_000])])
    parts = [gzip.compress(whole[start : start + 65_000]) for start in range(0, len(whole), 65_000)]
    assert read(b"".join(parts) + bytes(1000)).files == {"a.jpg": NOISE[:200_000]}


def test_an_extended_header_beyond_the_limit_ends_the_reading() -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2**40
    found = read(info.tobuf(tarfile.GNU_FORMAT) + bytes(2**20))
    assert found.ended is not None
    assert "extended headers" in found.ended.detail


@pytest.mark.parametrize("data", [b"", b"hello", b"Rar!\x1a\x07\x01\x00" + bytes(600), NOISE[:5000], b"PK\x03\x04"])
def test_data_that_is_no_archive_is_refused_at_once(data: bytes) -> None:
    found = read(data)
    assert found.ended is not None
    assert found.ended.code == "archive_unsafe"
    assert (found.files, found.refused) == ({}, {})


SMALL = [("a.jpg", b"a" * 700), ("folder/b.png", NOISE[:900]), ("c", b"")]


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(list(MAKERS)),
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=8),
    cut=st.none() | st.integers(0, 10**6),
)
def test_a_damaged_archive_never_raises_an_unexpected_error(
    kind: str, changes: list[tuple[int, int]], cut: int | None
) -> None:
    data = bytearray(MAKERS[kind](SMALL))
    for at, value in changes:
        data[at % len(data)] = value
    read(bytes(data if cut is None else data[: cut % len(data)]))


@settings(max_examples=100, deadline=None)
@given(
    head=st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00"]),
    rest=st.binary(),
)
@example(head=b"", rest=bytes(1024))
@example(head=b"PK\x05\x06", rest=b"\xff" * 40)
def test_reading_any_bytes_never_raises_an_unexpected_error(head: bytes, rest: bytes) -> None:
    read(head + rest)


def test_a_comment_that_looks_like_an_end_record_does_not_hide_the_archive() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpg", b"picture")
        archive.comment = b"seen PK\x05\x06 and " + b"PK\x05\x06" + b"\x00" * 30
    assert read(buffer.getvalue()).files == {"a.jpg": b"picture"}


def test_a_size_of_thousands_of_digits_ends_the_reading_after_the_members_before_it() -> None:
    good = a_tar([("a.jpg", b"picture")])[:1024]
    info = tarfile.TarInfo("b.jpg")
    info.pax_headers = {"size": "1" * 5000}
    bad = info.tobuf(tarfile.PAX_FORMAT)
    found = read(good + bad)
    assert (found.files, found.ended and found.ended.code) == ({"a.jpg": b"picture"}, "archive_unsafe")

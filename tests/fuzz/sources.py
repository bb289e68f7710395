"""Targets: archives and manifests."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from contextlib import suppress

import openpyxl

from core.item_errors import ItemError, SourceEnded
from core.sources.archives import ArchiveLimits, archive_members
from core.sources.manifests import Columns, manifest_rows
from core.sources.names import MAX_NAME
from core.sources.picture_lists import PictureList
from tests.fuzz.judging import expect, expect_storable
from tests.fuzz.target import Target
from tests.odd_archives import DEFLATED, Part, pax_member, tar_member, tar_of, zip64, zip64_end, zip_of

LIMITS = ArchiveLimits(members=50, member_bytes=2**20, unpacked_bytes=2**22)
MAX_POSITION = 2**44
"""The last position of the largest file of ext4. A file system refuses to seek behind it."""
URL = b"https://shop.example/a.jpg"


class File(io.BytesIO):
    """Bytes that behave as a file on a disk."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if offset > MAX_POSITION:
            raise OSError(22, "Invalid argument")
        return super().seek(offset, whence)


def check_archive(data: bytes) -> None:
    total = 0
    with suppress(SourceEnded):
        for member in archive_members(File(data), LIMITS):
            expect(len(member.name) <= MAX_NAME, "too long a name")
            expect_storable([member.name, member.error.detail if member.error else ""])
            if member.pieces is None:
                continue
            size = 0
            try:
                for piece in member.pieces():
                    size += len(piece)
            except ItemError as error:
                expect_storable(error.detail)
            expect(size <= LIMITS.member_bytes, f"too large a member: {size}")
            total += size
    expect(total <= LIMITS.unpacked_bytes, f"too many bytes: {total}")
    pictures = PictureList.read(_members(data), {}, 100)
    expect_storable(pictures.columns)


def _members(data: bytes):  # type: ignore[no-untyped-def]
    with suppress(SourceEnded):
        yield from archive_members(File(data), LIMITS)


def check_manifest(data: bytes) -> None:
    columns, number = Columns(), 0
    try:
        for row in manifest_rows(io.BytesIO(data), 200, columns, 2**22):
            if row is None:
                continue
            expect(row.number >= number, "rows out of order")
            number = row.number
            expect_storable([row.url, row.custom_id, row.provenance, row.details])
            expect_storable([region.name for region in row.regions])
            if row.error is not None:
                expect(row.error.detail.startswith(f"row {number}: "), f"no number of the row: {row.error.detail}")
                expect_storable(row.error.detail)
            elif row.crop is not None:
                expect(row.crop.width > 0 and row.crop.height > 0, f"an empty crop: {row.crop}")
    except SourceEnded as ended:
        expect_storable(ended.reason.detail)
    expect_storable(columns.understood)


def _workbook() -> bytes:
    book, file = openpyxl.Workbook(), io.BytesIO()
    assert book.active is not None
    book.active.append(["image_url", "title", "crop"])
    book.active.append([URL.decode(), "Coat", "1,2,3,4"])
    book.save(file)
    # Without compression, mutations change the XML and not only compressed bytes.
    stored = io.BytesIO()
    with zipfile.ZipFile(file) as parts, zipfile.ZipFile(stored, "w") as changed:
        for name in parts.namelist():
            if name != "xl/theme/theme1.xml":
                changed.writestr(zipfile.ZipInfo(name), parts.read(name))
    return stored.getvalue()


_TAR = tar_of(
    tar_member("a.jpg", b"a" * 600),
    pax_member("b.jpg", b"b", {"path": "폴더/b.jpg", "size": "1"}),
    tar_member("././@LongLink", b"long" * 50, tarfile.GNUTYPE_LONGNAME) + tar_member("c.jpg", b"c"),
    tar_member("folder", b"", tarfile.DIRTYPE),
    tar_member("sparse", b"", tarfile.GNUTYPE_SPARSE),
)
_PARTS = (
    Part("a.jpg", b"a" * 600, DEFLATED),
    Part("폴더/b.png", b"b" * 90),
    Part("list.csv", b"filename,sku\na.jpg,1\n"),
)
_LOCAL = Part("a.jpg", b"a", size=0xFFFFFFFF, extra=zip64(1))

ARCHIVE = Target(
    "archive",
    check_archive,
    (
        zip_of(*_PARTS),
        _LOCAL.local()
        + _LOCAL.entry(0)
        + zip64_end(len(_LOCAL.local() + _LOCAL.entry(0)), 1, len(_LOCAL.entry(0)), 36),
        _TAR,
        gzip.compress(_TAR, mtime=0),
    ),
    (
        *(
            b"PK\x01\x02",
            b"PK\x03\x04",
            b"PK\x05\x06",
            b"PK\x06\x06",
            b"PK\x06\x07",
            b"ustar",
            b"\x1f\x8b\x08",
            b"BZh9",
        ),
        *(
            b"\xff\xff\xff\xff",
            b"\xff" * 8,
            b"../",
            b"\x00" * 512,
            b"GNU.sparse.major=1\n",
            b"30 size=99999999999999999999\n",
        ),
    ),
)
MANIFEST = Target(
    "manifest",
    check_manifest,
    (
        b"image_url,title,price,crop,metadata\n" + URL + b',"Co\nat",39.90,"1,2,3,4","{""a"": 1}"\n' + URL + b",x,,,\n",
        b"Handle,Title,Image Src,Variant Image\ncoat,Coat," + URL + b",\ncoat,," + URL + b"2," + URL + b"\n",
        b'{"url": "' + URL + b'", "price": 5, "regions": [{"name": "x", "box": {"x":0,"y":0,"width":1,"height":1}}]}\n',
        b'<rss xmlns:g="http://base.google.com/ns/1.0"><item><g:id>1</g:id><g:image_link>' + URL + b"</g:image_link>"
        b"<g:price>5 EUR</g:price></item></rss>",
        URL + b"\n" + URL + b"?2\n",
        "이미지;상품명\n".encode("cp949") + URL + ";셔츠\n".encode("cp949"),
        "url\tid\n".encode("utf-16") + (URL.decode() + "\t5\n").encode("utf-16-le"),
        gzip.compress(b"url\n" + URL + b"\n", mtime=0),
        _workbook(),
    ),
    (
        *(
            b"url",
            b"images",
            b"crop",
            b"regions",
            b"metadata",
            b"price",
            b"sep=;\n",
            b"\xef\xbb\xbf",
            b"\xff\xfe",
            b'""',
        ),
        *(
            b"\\ud800",
            b"\\u0000",
            b"NaN",
            b"1e999",
            b"-1",
            b"[[[[",
            b'{"a":',
            b"<!ENTITY",
            b"<item>",
            b"</item>",
            b"\x00",
        ),
    ),
)

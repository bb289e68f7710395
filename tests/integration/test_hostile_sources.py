"""Hostile archives and manifests: good members before and after a bad one are kept, and the bad one says why."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pytest

from core.item_errors import ItemError
from core.sources.archives import ArchiveLimits, Member, archive_members
from db.tables import JobSource
from tests.integration.reading import Place, place
from tests.odd_archives import (
    DEFLATED,
    SEE_ZIP64,
    Part,
    deflated,
    end_record,
    headers_of,
    pax_member,
    tar_member,
    tar_of,
    zip64,
    zip64_end,
    zip_of,
    zip_pieces,
)

__all__ = ["place"]

BEFORE, AFTER = Part("before.jpg", b"before"), Part("after.jpg", b"after")
TAR_BEFORE, TAR_AFTER = tar_member("before.jpg", b"before"), tar_member("after.jpg", b"after")
UNSAFE = "archive_unsafe"
END_CODES = {JobSource.ARCHIVE: UNSAFE, JobSource.MANIFEST: "bad_manifest"}
URL = "https://shop.example/"
NOISE = os.urandom(150_000)


@dataclass
class Case:
    """A source and what it must become."""

    what: str
    data: bytes
    bad: Sequence[tuple[str, str]] = ()
    """The failed items: name, and words of the reason. Their code is `code`."""
    good: Sequence[str] = ("before.jpg", "after.jpg")
    ends: str = ""
    """Words of the reason for which reading ends early: of the last item, or of the job if it has no items."""
    code: str = UNSAFE
    name: str = "looks.zip"
    left_out: int = 0
    source: JobSource = JobSource.ARCHIVE


def in_zip(what: str, *bad: Part, says: str, **others: object) -> Case:
    """A ZIP file with bad members among good ones."""
    names = [(part.raw_name.decode("utf-8", "replace").replace("\x00", "\ufffd"), says) for part in bad]
    return Case(what, zip_of(BEFORE, *bad, AFTER), names, **others)  # type: ignore[arg-type]


def in_tar(what: str, *bad: bytes, **others: object) -> Case:
    """A TAR file with bad members among good ones."""
    return Case(what, tar_of(TAR_BEFORE, *bad, TAR_AFTER), name="looks.tar", **others)  # type: ignore[arg-type]


def nested(depth: int) -> bytes:
    """Return an archive of sixteen archives, each of which has sixteen, as 42.zip."""
    data = b"0" * 1000
    for level in range(depth):
        data = zip_of(*(Part(f"lib {level}.{number}.zip", data, DEFLATED) for number in range(16)))
    return data


def quoted(parts: int) -> bytes:
    """Return a ZIP file after D. Fifield, "A better zip bomb" (2019): each member quotes the header of the next one.

    A stored block of Deflate, which contains the next local header, precedes the data that all members share.
    """
    packed = kernel = deflated(b"a" * 1000)
    bodies: list[Part] = [Part(f"{parts - 1}.jpg", b"a" * 1000, DEFLATED, packed=kernel)]
    for number in reversed(range(parts - 1)):
        following = bodies[0].local()[: -len(packed)]
        quote = b"\x00" + len(following).to_bytes(2, "little") + (len(following) ^ 0xFFFF).to_bytes(2, "little")
        data = following + bodies[0].data
        packed = quote + following + packed
        bodies.insert(0, Part(f"{number}.jpg", data, DEFLATED, packed=packed))
    whole, entries, at = bodies[0].local(), b"", 0
    for number, body in enumerate(bodies):
        entries += body.entry(at)
        if number + 1 < parts:
            at = len(whole) - len(bodies[number + 1].local())
    return whole + entries + end_record(parts, len(entries), len(whole))


def zip64_archive(*parts: Part) -> bytes:
    body, entries = zip_pieces(*parts)
    return body + entries + zip64_end(len(body + entries), len(parts), len(entries), len(body))


def with_damaged_directory() -> bytes:
    """Return an archive whose directory is damaged in its last entry."""
    body, entries = zip_pieces(BEFORE, AFTER, Part("lost.jpg", b"lost"))
    cut = entries.rindex(b"PK\x01\x02")
    return body + entries[:cut] + b"??" + entries[cut + 2 :] + end_record(3, len(entries), len(body))


METHODS = {1: "Shrink", 6: "Implode", 9: "Deflate64", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd", 4711: "4711"}
FLAGS = {"encrypted": 1, "strongly encrypted": 0x41, "masked directory": 0x2000}
NAMES = {
    "../up.jpg": "leads out of it",
    "a/../../up.jpg": "leads out of it",
    "..\\up.jpg": "leads out of it",
    "/etc/absolute.jpg": "absolute",
    "\\\\host\\share.jpg": "absolute",
    "C:\\drive.jpg": "drive letter",
    "c:drive.jpg": "drive letter",
    "": "an empty one",
    "nul\x00.jpg": "NUL",
}
TYPES = {
    tarfile.SYMTYPE: "got a link",
    tarfile.LNKTYPE: "got a link",
    tarfile.CHRTYPE: "got a device",
    tarfile.BLKTYPE: "got a device",
    tarfile.FIFOTYPE: "got a pipe",
    b"M": "several volumes",
}
SHARES = "shares bytes with another member"
LINE = "a\nb.jpg"

ZIPS = [
    *(
        in_zip(f"method {number}", Part("odd.jpg", b"x" * 99, number), says=f"compression method {name}")
        for number, name in METHODS.items()
    ),
    *(in_zip(what, Part("odd.jpg", b"x", flags=flags), says="encryption") for what, flags in FLAGS.items()),
    *(in_zip(f"the name {name!r}", Part(name, b"x"), says=says) for name, says in NAMES.items()),
    Case(
        "names that are odd but harmless",
        zip_of(BEFORE, *(Part(name, b"x") for name in (LINE, "folder\\back.jpg", "a\u202egpj.jpg")), AFTER),
        good=["before.jpg", LINE, "folder\\back.jpg", "a\u202egpj.jpg", "after.jpg"],
    ),
    Case(
        "names that are not in the encoding that they announce",
        zip_of(BEFORE, Part("셔츠.jpg".encode("cp949"), b"x", flags=0x800), AFTER),
        good=["before.jpg", "셔츠.jpg", "after.jpg"],
    ),
    in_zip("archives in an archive", *(Part(f"{n}.zip", nested(1)) for n in range(3)), says="(ZIP) inside"),
    in_zip("an archive with the name of a picture", Part("inner.jpg", nested(1), DEFLATED), says="(ZIP) inside"),
    Case("42.zip", nested(5), [(f"lib 4.{number}.zip", "(ZIP) inside") for number in range(16)], good=(), left_out=0),
    in_zip("a link", Part("odd.jpg", b"/etc/passwd", mode=0o120777), says="got a link"),
    in_zip("a link of macOS", Part("odd.jpg", b"/etc/passwd", mode=0o120777, system=19), says="got a link"),
    in_zip("a device", Part("odd.jpg", b"x", mode=0o020666), says="got a device"),
    in_zip("a pipe", Part("odd.jpg", b"x", mode=0o010666), says="got a device"),
    in_zip("a folder with data", Part("folder.jpg/", b"x" * 50), says="got a folder with 50 bytes"),
    Case("a folder without data", zip_of(BEFORE, Part("folder/", b"", DEFLATED), AFTER)),
    in_zip("a wrong checksum", Part("odd.jpg", b"x", crc=1), says="checksum"),
    in_zip("a size that is too small", Part("odd.jpg", b"x" * 99, DEFLATED, size=9), says="expected 9 bytes"),
    in_zip("a size that is too large", Part("odd.jpg", b"x" * 99, DEFLATED, size=999), says="size or checksum differs"),
    in_zip("a packed size that is too small", Part("odd.jpg", NOISE[:999], 8, packed_size=99), says="incomplete"),
    Case(
        "data behind the compressed data",
        zip_of(BEFORE, Part("after.jpg", b"after", 8, packed=deflated(b"after") + b"?")),
    ),
    in_zip("compressed data that is damaged", Part("odd.jpg", b"x", 8, packed=b"\xff\xff"), says="damaged"),
    in_zip("a bomb", Part("odd.jpg", bytes(2**25), 8), says="200,000 bytes", code="too_large"),
    in_zip("a member above the limit", Part("odd.jpg", NOISE * 2), says="200,000 bytes", code="too_large"),
    in_zip("an empty picture", Part("odd.jpg"), says="empty file", code="empty_file"),
    in_zip("no local header", Part("odd.jpg", b"x", magic=b"????"), says="not at the position"),
    in_zip("an offset behind the file", Part("odd.jpg", b"x", offset=0xFFFFFFF0), says="not at the position"),
    Case("another name in the local header", zip_of(BEFORE, Part("after.jpg", b"after", local_name=b"../up.jpg"))),
    in_zip("the same name", Part("before.jpg", b"x"), says="same name"),
    in_zip("the same path in another spelling", Part("./before.jpg", b"x"), says="same name"),
    Case(
        "two entries for the same bytes",
        zip_of(
            BEFORE,
            Part("1.jpg", b"x", offset=len(BEFORE.local())),
            Part("2.jpg", b"x", offset=len(BEFORE.local())),
            AFTER,
        ),
        [("1.jpg", SHARES), ("2.jpg", SHARES)],
    ),
    Case("quoted overlap", quoted(5), [(f"{n}.jpg", SHARES) for n in range(4)], good=["4.jpg"]),
    in_zip("a member that reaches into the next", Part("odd.jpg", b"x", packed_size=20, size=20), says=SHARES),
    in_zip(
        "a member that hides another one", Part("odd.jpg", b"x", packed_size=99, local_extra=b"x" * 50), says=SHARES
    ),
    Case("ZIP64", zip64_archive(BEFORE, Part("after.jpg", b"after", size=SEE_ZIP64, extra=zip64(5)))),
    *(
        Case(
            f"ZIP64 lies about {what}",
            zip64_archive(BEFORE, Part("odd.jpg", b"x", extra=extra, **fields), AFTER),  # type: ignore[arg-type]
            [("odd.jpg", says)],
            code=code,
        )
        for what, fields, extra, says, code in [
            ("the size", {"size": SEE_ZIP64}, zip64(2**64 - 1), "size or checksum differs", UNSAFE),
            ("the packed size", {"packed_size": SEE_ZIP64}, zip64(2**64 - 1), SHARES, UNSAFE),
            ("the offset", {"offset": SEE_ZIP64}, zip64(2**64 - 1), "not at the position", UNSAFE),
            ("the offset, a little", {"offset": SEE_ZIP64}, zip64(2**63 - 1), "not at the position", UNSAFE),
            ("its presence", {"packed_size": SEE_ZIP64}, b"", SHARES, UNSAFE),
            ("its length", {"packed_size": SEE_ZIP64}, b"\x01\x00\x08\x00\x01", SHARES, UNSAFE),
        ]
    ),
    Case("a damaged directory", with_damaged_directory(), ends="an entry of its directory is invalid"),
    Case("no directory", zip_of(BEFORE)[:50], good=(), ends="no directory at its end"),
    Case("a part of an archive", b"".join(zip_pieces(BEFORE)) + end_record(1, 0, 0, 3), good=(), ends="split archive"),
    *(
        Case(what, BEFORE.local() + BEFORE.entry(0) + end, good=(), ends=says)
        for what, end, says in [
            ("a ZIP64 record that is not there", zip64_end(2**63, 1, 56, 46)[56:], "announced position"),
            ("a ZIP64 directory that is too long", zip64_end(102, 1, 2**64 - 1, 2**64 - 1), "announced position"),
            ("a ZIP64 directory of too many entries", zip64_end(102, 2**64 - 1, 56, 46), "at most 1,000 members"),
        ]
    ),
    Case("1,001 members", headers_of(f"{n}.jpg" for n in range(1001)), good=(), ends="at most 1,000 members"),
    Case("7z under the name of a ZIP", b"7z\xbc\xaf\x27\x1c" + bytes(99), good=(), ends="got 7z"),
    Case("RAR under the name of a ZIP", b"Rar!\x1a\x07\x01\x00" + bytes(99), good=(), ends="got RAR"),
    Case("Zstandard under the name of a ZIP", b"\x28\xb5\x2f\xfd" + bytes(99), good=(), ends="got Zstandard"),
]

TAR = tar_of(TAR_BEFORE, TAR_AFTER)
LONG = "long/" * 200 + "name.jpg"
SHOWN = LONG[:399] + "…" + LONG[-100:]
HUGE = tar_member("bomb.jpg", size=17 * 2**20) + bytes(17 * 2**20)
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "XZ": partial(lzma.compress, preset=0),
}
TARS = [
    *(
        in_tar(f"type {kind!r}", tar_member("odd.jpg", kind=kind), bad=[("odd.jpg", says)])
        for kind, says in TYPES.items()
    ),
    *(
        in_tar(
            f"the name {name!r}", pax_member("x", b"x", {"path": name}), bad=[(name.replace("\x00", "\ufffd"), says)]
        )
        for name, says in NAMES.items()
        if name
    ),
    in_tar("a link with data", tar_member("odd.jpg", b"x" * 600, tarfile.SYMTYPE), bad=[("odd.jpg", "got a link")]),
    in_tar("a folder with data", tar_member("folder", b"x" * 600, tarfile.DIRTYPE)),
    in_tar("a folder that announces data and has none", tar_member("folder", b"", tarfile.DIRTYPE, size=4096)),
    in_tar("a sparse file of GNU", tar_member("odd.jpg", b"x", tarfile.GNUTYPE_SPARSE), bad=[("odd.jpg", "a sparse")]),
    *(
        in_tar(f"a sparse file of PAX {key}", pax_member("odd.jpg", b"x", {key: "1"}), bad=[("odd.jpg", "a sparse")])
        for key in ("GNU.sparse.map", "GNU.sparse.major")
    ),
    in_tar(
        "a long name of GNU",
        tar_member("././@LongLink", LONG.encode() + b"\x00", tarfile.GNUTYPE_LONGNAME) + tar_member("x", b"x"),
        good=["before.jpg", SHOWN, "after.jpg"],
    ),
    in_tar("a long name of PAX", pax_member("x", b"x", {"path": LONG}), good=["before.jpg", SHOWN, "after.jpg"]),
    in_tar(
        "a name of another member in a global header",
        tar_member("././@PaxHeader", b"17 path=evil.jpg\n", tarfile.XGLTYPE),
    ),
    in_tar("a name that repeats", tar_member("before.jpg", b"x"), bad=[("before.jpg", "same name")]),
    in_tar("an empty picture", tar_member("odd.jpg"), bad=[("odd.jpg", "empty file")], code="empty_file"),
    in_tar("an archive in an archive", tar_member("odd.jpg", TAR), bad=[("odd.jpg", "(TAR) inside")]),
    in_tar(
        "a contiguous file", tar_member("odd.jpg", b"x", tarfile.CONTTYPE), good=["before.jpg", "odd.jpg", "after.jpg"]
    ),
    Case(
        "a size behind the file",
        tar_of(TAR_BEFORE, tar_member("odd.jpg", size=2**40), TAR_AFTER),
        [("odd.jpg", "got an archive (TAR) inside")],
        good=["before.jpg"],
        ends="ends inside a member",
    ),
    *(
        Case(what, tar_of(TAR_BEFORE, bad, TAR_AFTER), good=["before.jpg"], ends=says, name="looks.tar")
        for what, bad, says in [
            ("a damaged header", bytes(100) + b"x" * 412, "damaged"),
            ("a size of PAX with 5,000 digits", pax_member("x", b"x", {"size": "1" * 5000}), "not a number"),
            ("a size of PAX below zero", pax_member("x", b"x", {"size": "-5"}), "not a number"),
            ("a header of PAX without lengths", tar_member("x", b"path=x\n", tarfile.XHDTYPE), "header is invalid"),
            ("a header of PAX of a gigabyte", tar_member("x", kind=tarfile.XHDTYPE, size=2**30), "extended headers"),
        ]
    ),
    Case("two TAR files, one behind the other", TAR_BEFORE + bytes(10240) + tar_of(TAR_AFTER)),
    Case("bytes behind the end", TAR + b"and something else" * 100),
    *(
        case
        for kind, pack in PACKERS.items()
        for case in (
            Case(f"two files in {kind}", pack(tar_of(TAR_BEFORE)) + pack(tar_of(TAR_AFTER))),
            Case(
                f"a bomb in {kind}",
                pack(tar_of(TAR_BEFORE, HUGE, TAR_AFTER)),
                [("bomb.jpg", "200,000 bytes")],
                code="too_large",
                good=["before.jpg"],
                ends="at most 16,777,216 unpacked bytes",
            ),
            Case(
                f"a truncated file in {kind}",
                pack(tar_of(TAR_BEFORE, tar_member("noise.jpg", NOISE)))[:100_000],
                good=[] if kind == "bzip2" else ["before.jpg"],
                ends="incomplete",
            ),
        )
    ),
]

MANIFEST = f"url,title\n{URL}0.jpg,Coat\n"
LAST = f"{URL}9.jpg,Shirt\n"


def rows(what: str, data: bytes | str, row: int | None = 3, says: str = "", **others: object) -> Case:
    """A manifest whose row of this number is bad, among good ones."""
    raw = data.encode() if isinstance(data, str) else data
    bad = [(f"row {row}", says)] if row else []
    given = {"good": ["0.jpg", "9.jpg"], "code": "bad_row", "name": "looks.csv", "source": JobSource.MANIFEST}
    return Case(what, raw, bad, **given | others)  # type: ignore[arg-type]


MANIFESTS = [
    *(
        rows(f"NUL in {encoding}", f"{MANIFEST}{URL}\x00.jpg,x\n{LAST}".encode(encoding), says="NUL")
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le")
    ),
    rows("a line of a megabyte", f"{MANIFEST}{URL}{'x' * 2**20},x\n{LAST}", says="65,536 characters"),
    rows("a URL that is too long", f"{MANIFEST}{URL}{'x' * 3000},x\n{LAST}", says="2083", code="fetch_forbidden"),
    rows("a quote that nothing closes", f'{MANIFEST}"{URL},x\n{LAST}', says="closing quote"),
    rows("too many fields", f"{MANIFEST}{URL},x,y,z\n{LAST}", says="at most 2 fields"),
    rows("no URL", f"{MANIFEST},x\n{LAST}", says="url: expected a value"),
    rows("half a character of UTF-16", f"{MANIFEST}{LAST}".encode("utf-16") + b"x", row=4, says="UTF-16"),
    rows("no column of pictures", "title,price\nCoat,5\n", None, good=(), ends="Rename the column"),
    rows("XML with entities", '<!DOCTYPE a [<!ENTITY b "c">]><rss/>', None, good=(), ends="entities"),
    rows("XML that ends early", f"<rss><item><url>{URL}0.jpg</url></item><item>", None, good=["0.jpg"], ends="damaged"),
    rows("a truncated file in gzip", gzip.compress(MANIFEST.encode())[:-9], None, good=(), ends="incomplete"),
    rows("a bomb in gzip", gzip.compress(bytes(2**25)), None, good=(), ends="unpacked bytes"),
    *(
        rows(f"a line of JSON: {line[:20]}", f'{{"url": "{URL}0.jpg"}}\n{line}\n{{"url": "{URL}9.jpg"}}\n', 2, says)
        for line, says in [
            ("[]", "got a list"),
            ("{", "invalid JSON"),
            ('{"url": NaN}', "invalid JSON"),
            ('{"x":' * 5000 + "1" + "}" * 5000, "levels"),
            ('{"url": 5}', "url"),
            ('{"url": "http://a.example/\\u0000"}', "NUL"),
            ('{"url": "' + "x" * 2**20 + '"}', "65,536 characters"),
            ('{"url": "http://a.example/b", "price": 1' + "0" * 5000 + "}", "digits"),
        ]
    ),
]


def check(place: Place, case: Case) -> None:
    job_id = place.submit(case.data, case.name, case.source)
    place.expander().run_pending()
    items, job = place.items(job_id), place.job(job_id)
    assert not job.discovering
    last = items[-1] if items else None
    if case.ends and last is not None:
        items.pop()
        assert (last.source_name, last.error_code) == (case.name, END_CODES[case.source])
        assert case.ends in str(last.error_detail)
    elif case.ends:
        assert job.error is not None
        assert case.ends in job.error["detail"]
    kept = [item.source_name for item in items if item.error_code is None]
    failed = [item for item in items if item.error_code is not None]
    assert kept == list(case.good)
    assert [(item.source_name, item.error_code) for item in failed] == [(name, case.code) for name, _ in case.bad]
    for item, (_, says) in zip(failed, case.bad, strict=True):
        assert says in str(item.error_detail)
    assert job.left_out == case.left_out


@pytest.mark.parametrize("cases", [ZIPS, TARS, MANIFESTS], ids=["zip", "tar", "manifest"])
def test_each_bad_part_says_why_and_the_others_are_kept(place: Place, cases: list[Case]) -> None:
    wrong = []
    for case in cases:
        try:
            check(place, case)
        except AssertionError as error:
            wrong.append(f"{case.what}: {error}")
    assert not wrong, "\n".join(wrong)
    assert list(place.spool.iterdir()) == []


def test_a_hundred_thousand_empty_members_are_read() -> None:
    data = io.BytesIO(headers_of(f"{number}.jpg" for number in range(100_000)))
    members = archive_members(data, ArchiveLimits(100_000, 2**20, 2**30))
    assert Counter(map(code_of, members)) == {"empty_file": 100_000}


def code_of(member: Member) -> str | None:
    assert member.pieces is not None
    try:
        list(member.pieces())
    except ItemError as error:
        return error.code
    return None

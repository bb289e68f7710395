"""Read the arguments of `lookbook submit`: pictures, an archive, a manifest or URLs."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import typer

from lookbook import PICTURE_SUFFIXES, Upload, pictures_in
from lookbook.search_requests import is_url

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".xml")
MANIFEST_SUFFIXES = (*_TABLE_SUFFIXES, ".xlsx", *(f"{suffix}.gz" for suffix in _TABLE_SUFFIXES))
STDIN = "-"


class Kind(StrEnum):
    """The kinds of source. A job has one source."""

    PICTURES = "pictures"
    ARCHIVE = "an archive"
    MANIFEST = "a manifest"
    URLS = "URLs"


@dataclass(slots=True)
class Source:
    """The source of a job."""

    kind: Kind
    files: list[Upload] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)


def read_source(arguments: Iterable[str], read_stdin: Callable[[], bytes]) -> Source:
    """Return the source that the arguments name together. `-` stands for standard input.

    Raises:
        typer.BadParameter: the arguments name nothing, a missing file, or more than one source.
    """
    found = [part for argument in arguments for part in _parts(argument, read_stdin)]
    kinds = sorted({kind for kind, _ in found}, key=list(Kind).index)
    if len(kinds) > 1:
        examples = " and ".join(f"{kind.value} ({_example(found, kind)})" for kind in kinds)
        raise typer.BadParameter(f"a job has one source, got {examples}: submit each of them separately")
    if not found:
        raise typer.BadParameter(
            f"found no pictures: expected files ending in {' '.join(sorted(PICTURE_SUFFIXES))}, "
            f"{' '.join(ARCHIVE_SUFFIXES)} or {' '.join(MANIFEST_SUFFIXES)}, or URLs"
        )
    (kind,) = kinds
    if kind in {Kind.ARCHIVE, Kind.MANIFEST} and len(found) > 1:
        several = f"{len(found)} {kind.name.lower()}s"
        raise typer.BadParameter(f"a job has one source, got {several}: submit each of them separately")
    files = [part for _, part in found if isinstance(part, Upload)]
    return Source(kind, _with_distinct_names(files), [part for _, part in found if isinstance(part, str)])


def _parts(argument: str, read_stdin: Callable[[], bytes]) -> Iterator[tuple[Kind, Upload | str]]:
    path = Path(argument)
    if argument == STDIN:
        yield from _read_list(read_stdin())
    elif is_url(argument):
        yield Kind.URLS, argument
    elif path.is_dir():
        yield from ((Kind.PICTURES, upload) for upload in pictures_in(path))
    elif path.exists():
        yield _kind_of(argument), Upload(path.name, path)
    elif set(argument) & set("*?["):
        pattern = path.expanduser()
        found = Path(pattern.anchor).glob(pattern.relative_to(pattern.anchor).as_posix())
        files = [file for file in sorted(found) if file.is_file()]
        if not files:
            raise typer.BadParameter(f"no file matches {argument!r}")
        yield from ((_kind_of(file.name), Upload(file.name, file)) for file in files)
    else:
        raise typer.BadParameter(f"there is no file or folder {argument!r}")


def _kind_of(name: str) -> Kind:
    lower = name.lower()
    if lower.endswith(ARCHIVE_SUFFIXES):
        return Kind.ARCHIVE
    return Kind.MANIFEST if lower.endswith(MANIFEST_SUFFIXES) else Kind.PICTURES


def _read_list(data: bytes) -> Iterator[tuple[Kind, Upload | str]]:
    """Yield the parts that standard input names.

    A first line that begins with `{` or `<`, or has a column of pictures, makes it a manifest. Otherwise it is a list
    of paths and URLs, each ended by a line break or a zero byte.
    """
    lines = [line for line in re.split(rb"[\0\r\n]+", data.removeprefix(b"\xef\xbb\xbf")) if line.strip()]
    first = lines[0].lstrip() if lines else b""
    if first.startswith((b"{", b"<")):
        yield Kind.MANIFEST, Upload("stdin.jsonl" if first.startswith(b"{") else "stdin.xml", data)
    elif _is_header(first):
        yield Kind.MANIFEST, Upload("stdin.csv", data)
    else:
        for line in lines:
            name = os.fsdecode(line).strip()
            if name != STDIN:
                yield from _parts(name, bytes)


def _is_header(line: bytes) -> bool:
    # All commands import this module, and few need the manifests.
    from core.sources.manifests.columns import Columns

    names = [name.strip(' "') for name in re.split(r"[,;\t|]", line.decode(errors="replace"))]
    return Columns().count_known(names) > 0 and not Path(os.fsdecode(line).strip()).exists()


def _with_distinct_names(files: list[Upload]) -> list[Upload]:
    """Name files by their given paths where their names alone would be the same."""
    seen = Counter(file.name for file in files)
    return [Upload(_path_of(file), file.content) if seen[file.name] > 1 else file for file in files]


def _path_of(file: Upload) -> str:
    if isinstance(file.content, bytes):
        return file.name
    return "/".join(part for part in file.content.parts if part not in {"..", file.content.anchor})


def _example(found: list[tuple[Kind, Upload | str]], kind: Kind) -> str:
    names = [part if isinstance(part, str) else part.name for other, part in found if other is kind]
    return names[0] + (", …" if len(names) > 1 else "")

"""What the arguments of `lookbook submit` name: pictures, an archive, a manifest or URLs."""

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
from lookbook.client import is_url

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MANIFEST_SUFFIXES = (".csv", ".jsonl", ".ndjson")
STDIN = "-"


class Kind(StrEnum):
    """What a job is made of; each job has one."""

    PICTURES = "pictures"
    ARCHIVE = "an archive"
    MANIFEST = "a manifest"
    URLS = "URLs"


@dataclass(slots=True)
class Source:
    """The one source of a job."""

    kind: Kind
    files: list[Upload] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)


def read_source(arguments: Iterable[str], read_stdin: Callable[[], bytes]) -> Source:
    """The source that the arguments name together; `-` is what comes on standard input.

    Raises:
        typer.BadParameter: they name nothing, things that are not there, or more than one source.
    """
    found = [part for argument in arguments for part in _parts(argument, read_stdin)]
    kinds = sorted({kind for kind, _ in found}, key=list(Kind).index)
    if len(kinds) > 1:
        examples = " and ".join(f"{kind.value} ({_shown(found, kind)})" for kind in kinds)
        raise typer.BadParameter(f"a job has one source, got {examples}: submit each on its own")
    if not found:
        raise typer.BadParameter(
            f"no pictures there: expected files ending in {' '.join(sorted(PICTURE_SUFFIXES))}, "
            f"{' '.join(ARCHIVE_SUFFIXES)} or {' '.join(MANIFEST_SUFFIXES)}, or URLs"
        )
    (kind,) = kinds
    if kind in {Kind.ARCHIVE, Kind.MANIFEST} and len(found) > 1:
        raise typer.BadParameter(f"a job has one source, got {len(found)} of {kind.value}: submit each on its own")
    files = [part for _, part in found if isinstance(part, Upload)]
    return Source(kind, _told_apart(files), [part for _, part in found if isinstance(part, str)])


def _parts(argument: str, read_stdin: Callable[[], bytes]) -> Iterator[tuple[Kind, Upload | str]]:
    path = Path(argument)
    if argument == STDIN:
        yield from _of_stdin(read_stdin())
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


def _of_stdin(data: bytes) -> Iterator[tuple[Kind, Upload | str]]:
    """A manifest, known by its first line; otherwise paths and URLs, one a line (or each ended by a zero byte)."""
    lines = [line for line in re.split(rb"[\0\r\n]+", data.removeprefix(b"\xef\xbb\xbf")) if line.strip()]
    if lines and lines[0].lstrip().startswith(b"{"):
        yield Kind.MANIFEST, Upload("stdin.jsonl", data)
    elif lines and b"url" in [column.strip(b' "').lower() for column in re.split(rb"[,;\t|]", lines[0])]:
        yield Kind.MANIFEST, Upload("stdin.csv", data)
    else:
        for line in lines:
            name = os.fsdecode(line).strip()
            if name != STDIN:
                yield from _parts(name, bytes)


def _told_apart(files: list[Upload]) -> list[Upload]:
    """Files that would have the same name are named by the paths that were given."""
    seen = Counter(file.name for file in files)
    return [Upload(_path_of(file), file.content) if seen[file.name] > 1 else file for file in files]


def _path_of(file: Upload) -> str:
    if isinstance(file.content, bytes):
        return file.name
    return "/".join(part for part in file.content.parts if part not in {"..", file.content.anchor})


def _shown(found: list[tuple[Kind, Upload | str]], wanted: Kind) -> str:
    names = [part if isinstance(part, str) else part.name for kind, part in found if kind is wanted]
    return names[0] + (", …" if len(names) > 1 else "")

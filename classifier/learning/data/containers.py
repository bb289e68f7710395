"""The containers of a dataset: a folder, and the zips in it, which are read without unpacking.

A dataset may come from a download, so names and content are not trusted: what is not safe to read is left out and
counted.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from classifier.learning.data.irregularities import Irregularity, IrregularityCounts
from core.errors import DatasetInvalid
from core.item_errors import ArchiveUnsafe, ItemError, SourceEnded, TooLarge
from core.sources.members import ArchiveLimits, Gatekeeper
from core.sources.names import storable
from core.sources.zips import MemberPlace, pieces_at, zip_places

MAX_PICTURE_BYTES = 64 * 2**20
"""Maximum size of a picture's file."""

_LIMITS = ArchiveLimits(members=5_000_000, member_bytes=MAX_PICTURE_BYTES, unpacked_bytes=2**44)
"""Limits for one zip. The largest sets have about a million pictures and less than a terabyte."""
_MAX_DEPTH = 50
"""Maximum number of folders in each other. K-Fashion has four."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a dataset, in its folder or in a zip."""

    path: str
    """The path below the dataset's folder in Unicode form NFC. The name of a zip is one part of it."""
    container: str
    """The path of the zip below the dataset's folder, or "" for the folder itself."""
    member: str
    """The path in the container."""
    place: MemberPlace | None = None
    """Where the bytes are in the zip."""


class Containers:
    """Reads files of a dataset's folder and of the zips in it. Threads may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._zips: dict[str, _PositionedFile] = {}
        self._lock = Lock()

    def read(self, container: str, member: str, place: MemberPlace | None, limit: int = MAX_PICTURE_BYTES) -> bytes:
        """Return the bytes of a file.

        Raises:
            ItemError: the file is missing, damaged, too large or not safe to read.
        """
        try:
            if not container:
                return _read_file(self.root / member, limit)
            if place is None or place.unpacked > limit:
                raise TooLarge(f"{member}: expected at most {limit:,} bytes, got more")
            return b"".join(pieces_at(self._open(container), place))
        except OSError as error:
            raise ItemError(f"cannot read {container or member}: {error.strerror}") from error

    def _open(self, container: str) -> _PositionedFile:
        with self._lock:
            if container not in self._zips:
                self._zips[container] = _PositionedFile(os.open(self.root / container, os.O_RDONLY))
            return self._zips[container].copy()

    def close(self) -> None:
        """Close the zips."""
        for file in self._zips.values():
            os.close(file.descriptor)
        self._zips.clear()


class _PositionedFile:
    """A position in an open file. Unlike a file object, several of them can read one descriptor at the same time."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._position = 0

    def copy(self) -> _PositionedFile:
        return _PositionedFile(self.descriptor)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._position = offset if whence == os.SEEK_SET else os.fstat(self.descriptor).st_size + offset
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        data = os.pread(self.descriptor, size, self._position)
        self._position += len(data)
        return data


def _read_file(path: Path, limit: int) -> bytes:
    # A pipe would block the opening for ever without this flag.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ArchiveUnsafe(f"{path.name}: expected a regular file")
        if status.st_size > limit:
            raise TooLarge(f"{path.name}: expected at most {limit:,} bytes, got {status.st_size:,}")
        return file.read(limit)


def find_files(root: Path, counts: IrregularityCounts) -> Iterator[FoundFile]:
    """Yield the files of a folder and of the zips in it, each folder sorted by name. What cannot be read is counted.

    Raises:
        DatasetInvalid: there is no such folder.
    """
    if not root.is_dir():
        raise DatasetInvalid(f"expected a folder of pictures or of zips, got {root}")
    yield from _folder_files(root, (), {os.path.realpath(root)}, counts)


def _folder_files(
    root: Path, parts: Sequence[str], visited: set[str], counts: IrregularityCounts
) -> Iterator[FoundFile]:
    if len(parts) > _MAX_DEPTH:
        counts.add(Irregularity.REFUSED_FILE, "/".join(parts))
        return
    try:
        entries = sorted(os.scandir(root.joinpath(*parts)), key=lambda entry: entry.name)
    except OSError:
        counts.add(Irregularity.REFUSED_FILE, _shown("/".join(parts)))
        return
    for entry in entries:
        path = "/".join([*parts, entry.name])
        count_name(entry.name, path, counts)
        kind = _kind(entry)
        if storable(entry.name) != entry.name or kind == 0:
            counts.add(Irregularity.REFUSED_FILE, _shown(path))
        elif stat.S_ISDIR(kind):
            # A link to a folder may lead back to a folder above it.
            real = os.path.realpath(entry.path)
            if real in visited:
                counts.add(Irregularity.REFUSED_FILE, path)
            else:
                visited.add(real)
                yield from _folder_files(root, [*parts, entry.name], visited, counts)
        elif entry.name.lower().endswith(".zip"):
            yield from _zip_files(root / path, path, counts)
        else:
            yield FoundFile(unicodedata.normalize("NFC", path), "", path)


def _kind(entry: os.DirEntry[str]) -> int:
    """Return the file mode if it is a folder or a regular file, also behind a link, and 0 otherwise."""
    try:
        mode = entry.stat().st_mode
    except OSError:
        return 0
    return mode if stat.S_ISDIR(mode) or stat.S_ISREG(mode) else 0


def _zip_files(path: Path, container: str, counts: IrregularityCounts) -> Iterator[FoundFile]:
    folders = set[str]()
    try:
        with path.open("rb") as file:
            for member, place in zip_places(file, Gatekeeper(_LIMITS)):
                inner = member.name.replace("\\", "/")
                shown = f"{container}/{inner}"
                if member.error is not None:
                    counts.add(Irregularity.REFUSED_FILE, shown)
                elif not inner.endswith("/"):
                    *above, name = inner.split("/")
                    count_name(name, shown, counts)
                    for folder in above:
                        if folder not in folders:
                            folders.add(folder)
                            count_name(folder, shown, counts)
                    yield FoundFile(unicodedata.normalize("NFC", shown), container, member.name, place)
    except (SourceEnded, OSError):
        counts.add(Irregularity.INVALID_ARCHIVE, container)


def count_name(name: str, path: str, counts: IrregularityCounts) -> None:
    """Count a name that is not in Unicode form NFC."""
    if not unicodedata.is_normalized("NFC", name):
        counts.add(Irregularity.DECOMPOSED_NAME, _shown(path))


def _shown(path: str) -> str:
    return unicodedata.normalize("NFC", storable(path))

"""The corpus: all files that the other modules build, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.corpus.base import base_pictures
from tests.corpus.bombs import quick_bombs, slow_bombs
from tests.corpus.case import Case
from tests.corpus.damage import damaged
from tests.corpus.disguised import disguised

SEED = 16


def build(seed: int = SEED, *, slow: bool = True) -> Iterator[Case]:
    """Return the files of the corpus. `slow`: with those that take a decoder's time or memory."""
    for name, data in base_pictures().items():
        yield Case("whole", f"whole/{name}", data, is_picture=True)
    yield from damaged(seed)
    yield from disguised(seed)
    yield from quick_bombs()
    if slow:
        yield from slow_bombs()


def outside(folder: Path) -> Iterator[Case]:
    """Return the files of a folder and of the folders inside it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield Case("outside", str(path.relative_to(folder)), path.read_bytes())

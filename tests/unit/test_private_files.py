"""The data folder is closed to other users."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.private_files import make_private

NOBODY = 65534


@pytest.fixture
def wide_folder() -> Iterator[Path]:
    """A folder of an older version, which every user of the machine can list and read."""
    parent = Path(tempfile.mkdtemp())
    parent.chmod(0o755)
    folder = parent / "home"
    (folder / "blobs" / "ab").mkdir(parents=True)
    for path in (folder / "lookbook.db", folder / "blobs" / "ab" / "abcd"):
        path.write_text("secret")
        path.chmod(0o664)
    (folder / "run.sh").write_text("")
    (folder / "run.sh").chmod(0o755)
    for path in (folder, folder / "blobs", folder / "blobs" / "ab"):
        path.chmod(0o755)
    yield folder
    shutil.rmtree(parent)


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode & 0o777) for path in (folder, *folder.rglob("*"))}


def test_an_open_folder_is_closed_with_all_that_it_holds(wide_folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o644)
    (wide_folder / "link").symlink_to(outside)
    make_private(wide_folder)
    found = modes(wide_folder)
    assert found.pop("link") == "0o644"
    assert {found.pop(name) for name in ("home", "blobs", "ab", "run.sh")} == {"0o700"}
    assert found == {"lookbook.db": "0o600", "abcd": "0o600"}


def test_a_missing_folder_is_made_closed(tmp_path: Path) -> None:
    make_private(tmp_path / "new" / "home")
    assert (tmp_path / "new" / "home").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_can_read_nothing_in_it(wide_folder: Path) -> None:
    def read_as_another() -> int:
        code = f"import os; os.setuid({NOBODY}); open({str(wide_folder / 'lookbook.db')!r}).read()"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, cwd="/").returncode

    assert read_as_another() == 0
    make_private(wide_folder)
    assert read_as_another() != 0

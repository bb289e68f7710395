"""Jobs whose pages the tests open."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from samples import broken
from tests.conftest import SAMPLES

ALL = sorted(str(path) for path in SAMPLES.iterdir())


@pytest.fixture
def broken_files(tmp_path: Path) -> list[str]:
    contents = {
        "cut.jpg": broken.truncated_jpeg(),
        "empty.jpg": b"",
        "list.jpg": broken.text(),
        "huge.png": broken.huge_png(),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    return [str(tmp_path / name) for name in contents]


@pytest.fixture
def finished_job(http: httpx.Client, broken_files: list[str]) -> str:
    """The path of the page of a finished job of all samples and four broken files."""
    files = [("images", (Path(path).name, Path(path).read_bytes())) for path in ALL + broken_files]
    job = http.post("/v1/jobs", files=files, headers={"Prefer": "wait=30"}).json()
    assert job["status"] == "completed"
    return str(job["links"]["page"])

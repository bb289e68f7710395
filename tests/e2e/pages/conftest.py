"""Jobs whose pages the tests open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.clock import utc_now
from core.settings import PROJECT, Settings
from core.types import ModelRef
from db import model_versions
from db.database import Database
from db.model_versions import NewModelVersion
from samples import broken
from tests.conftest import SAMPLES, RunningService
from tests.e2e.pages.crawled import make_crawl
from tests.jobs import run_job

HOSTILE_CARD = """# other@1

## <script>alert(1)</script>
<img src="x" onerror="alert(1)"> [bad](javascript:alert(1)) [good](https://example.org/) ![seen](https://example.org/a.png)

| a | |
|---|---|
| **1** | `<b>` |
"""

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
    job = run_job(http, files=files)
    assert job["status"] == "completed"
    return str(job["links"]["page"])


@pytest.fixture(scope="session")
def other_version(service: RunningService) -> str:
    """Register a version that nothing uses, which is worse than the default one and has a hostile card."""
    folder = PROJECT / "models" / "garments" / "4"
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    taxonomy = json.loads((folder / "labels.json").read_text("utf-8"))
    metrics |= {"accuracy": 0.9, "data_hash": "other"}
    new = NewModelVersion(ModelRef("other", "1"), "0" * 64, taxonomy, {"size": 224}, metrics, HOSTILE_CARD)
    database = Database(Settings(home=service.home).resolved_database_url)
    with database.writing() as session:
        model_versions.register(session, new, utc_now())
    database.close()
    return "other@1"


@pytest.fixture(scope="session")
def database(service: RunningService) -> Iterator[Database]:
    opened = Database(Settings(home=service.home).resolved_database_url)
    yield opened
    opened.close()


@pytest.fixture
def crawled(http: httpx.Client, database: Database) -> str:
    """The path of the page of an ended crawl of the samples."""
    return make_crawl(http, database)

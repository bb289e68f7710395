"""The whole service with its pictures in a bucket."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.conftest import S3_ENVIRONMENT, SAMPLES, RunningS3, RunningService
from tests.jobs import run_job


def test_the_service_works_with_its_pictures_in_a_bucket(shared_s3: RunningS3, tmp_path: Path) -> None:
    bucket = shared_s3.make_bucket()
    running = RunningService(
        tmp_path / "home",
        **S3_ENVIRONMENT,
        AWS_ENDPOINT_URL=shared_s3.url,
        LOOKBOOK_BLOBS=f"s3://{bucket}/pictures",
    )
    running.wait_for_line("ready")
    paths = sorted(SAMPLES.iterdir())
    with httpx.Client(base_url=running.url, timeout=60.0, trust_env=False) as http:
        files = [("images", (path.name, path.read_bytes())) for path in paths]
        job = run_job(http, files=files)
        assert (job["status"], job["counts"]["succeeded"]) == ("completed", len(paths))
        item = http.get(job["links"]["items"]).json()["data"][0]
        assert http.get(item["image"]["original"]).content == paths[0].read_bytes()
        for derived in ("thumbnail", "explanation"):
            assert http.get(item["image"][derived]).headers["Content-Type"].startswith("image/")
    assert running.stop() == 0
    keys = shared_s3.keys(bucket)
    # The model is there for workers on other hosts.
    assert any(key.startswith("pictures/models/") for key in keys)
    assert (
        len([key for key in keys if not key.startswith("pictures/models/")])
        == len({path.read_bytes() for path in paths}) + 2
    )
    assert [path for path in (tmp_path / "home" / "blobs").rglob("*") if path.is_file()] == []

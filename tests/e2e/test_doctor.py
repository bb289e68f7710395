"""`lookbook doctor` on a running service."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.output import ExitCode
from core.settings import PROJECT, Settings
from lookbook import Client, Upload
from tests.conftest import RunningService
from tests.e2e.test_client import bmp


def examine(home: Path, url: str, *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "doctor", "--json", *options],
        env={**os.environ, "LOOKBOOK_HOME": str(home), "LOOKBOOK_URL": url},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, {part["part"]: part for part in json.loads(done.stdout)["parts"]}


def test_a_running_service_is_in_order_until_stored_bytes_are_damaged(service: RunningService) -> None:
    pictures = [bmp(number) for number in (60_001, 60_002)]
    with Client(service.url) as client:
        for picture in pictures:
            client.classify(picture)
        code, parts = examine(service.home, service.url, "--blobs")
        assert (code, {name for name, part in parts.items() if not part["ok"]}) == (ExitCode.OK, set())
        assert list(parts) == ["database", "blob store", "models", "machine", "service", "prediction", "blobs"]
        assert "jacket-denim.jpg: Outerwear" in parts["prediction"]["found"]

        damaged, missing = (hashlib.sha256(picture).hexdigest() for picture in pictures)
        (service.home / "blobs" / damaged[:2] / damaged).write_bytes(b"cut")
        (service.home / "blobs" / missing[:2] / missing).unlink()
        code, parts = examine(service.home, service.url, "--blobs")
        assert (code, parts["blobs"]["ok"]) == (ExitCode.ERROR, False)
        assert "1 damaged, 1 missing" in parts["blobs"]["found"]
        assert "upload these pictures again" in parts["blobs"]["advice"]

        client.submit_uploads([Upload(f"{number}.bmp", picture) for number, picture in enumerate(pictures)])
        assert examine(service.home, service.url, "--blobs")[0] == ExitCode.OK


def test_more_decoders_than_the_memory_suffices_for_are_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_DECODERS", "10000")
    _, parts = examine(tmp_path, "http://127.0.0.1:9")
    assert parts["machine"]["ok"] is False
    assert re.search(r"needs? 5,?001.0 GiB: .* LOOKBOOK_DECODERS=\d+$", parts["machine"]["advice"])
    monkeypatch.delenv("LOOKBOOK_DECODERS")
    _, parts = examine(tmp_path, "http://127.0.0.1:9")
    assert parts["machine"]["ok"] is True
    assert f"{Settings().decoders} decoders of 512 MiB" in parts["machine"]["found"]


def test_each_wrong_part_is_named_with_what_to_do(tmp_path: Path) -> None:
    code, parts = examine(tmp_path / "new", "http://127.0.0.1:9")
    assert code == ExitCode.ERROR
    assert (parts["database"]["ok"], parts["service"]["ok"], parts["models"]["ok"]) == (False, False, True)
    assert "lookbook db upgrade" in parts["database"]["advice"]
    assert "make up" in parts["service"]["advice"]

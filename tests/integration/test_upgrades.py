"""The database is migrated while processes run, and goes back to the version before, with rows in its tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import MetaData, select, text
from typer.testing import CliRunner

from cli.main import app as commands
from db.database import Database
from db.migrate import current_revision, downgrade, has_needed_tables, head_revision, list_revisions, upgrade
from db.tables import Job
from tests.integration.builders import a_queued_job, a_varied_job, finish, read_job

NEXT = "9999"
"""The migration of a version that is newer than this one."""


def rows(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all tables but Alembic's, with the columns that the tables have now."""
    tables = MetaData()
    tables.reflect(database.engine)
    with database.engine.connect() as connection:
        return {
            name: sorted((dict(row._mapping) for row in connection.execute(select(table))), key=repr)
            for name, table in tables.tables.items()
            if name != "alembic_version"
        }


@pytest.fixture
def filled(database: Database) -> Iterator[Database]:
    a_varied_job(database)
    yield database
    upgrade(database)


def test_going_back_one_migration_and_forward_again_keeps_every_row(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, previous = rows(filled), list_revisions()[1]
    assert len(before["predictions"]) > 10
    url = filled.url.render_as_string(hide_password=False)
    monkeypatch.setenv("LOOKBOOK_DATABASE_URL", url)
    monkeypatch.setenv("LOOKBOOK_MODELS", "/nonexistent")
    done = CliRunner().invoke(commands, ["db", "downgrade", previous])
    assert (done.exit_code, current_revision(filled)) == (0, previous), done.output
    assert not has_needed_tables(filled)
    kept = rows(filled)
    for table, old in kept.items():
        columns = set(old[0]) if old else set()
        assert old == sorted(({c: row[c] for c in row if c in columns} for row in before[table]), key=repr)
    done = CliRunner().invoke(commands, ["db", "upgrade"])
    assert (done.exit_code, current_revision(filled)) == (0, head_revision()), done.output
    after = rows(filled)
    assert after["predictions"] == before["predictions"]
    # A table of the newest migration is empty again.
    assert {table: len(after[table]) for table in kept} == {table: len(before[table]) for table in kept}


def test_a_downgrade_to_an_unknown_or_later_migration_changes_nothing(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_DATABASE_URL", filled.url.render_as_string(hide_password=False))
    done = CliRunner().invoke(commands, ["db", "downgrade", "0815"])
    assert done.exit_code == 2
    downgrade(filled, list_revisions()[2])
    done = CliRunner().invoke(commands, ["db", "downgrade", list_revisions()[1]])
    assert done.exit_code != 0
    assert current_revision(filled) == list_revisions()[2]


def test_processes_of_this_version_go_on_after_the_migration_of_the_next_one(database: Database) -> None:
    job_id, (message,) = a_queued_job(database, ["a", "b"])
    with database.engine.begin() as connection:
        # Migrations add tables, and columns that may be empty.
        connection.execute(text("CREATE TABLE next_things (id VARCHAR PRIMARY KEY)"))
        for table in ("jobs", "items", "blobs", "predictions", "chunks"):
            connection.execute(text(f"ALTER TABLE {table} ADD COLUMN of_the_next_version VARCHAR"))
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{NEXT}'"))
    try:
        assert has_needed_tables(database)
        finish(database, message)
        assert read_job(database, job_id).succeeded == 2
        another, messages = a_queued_job(database, ["c"])
        finish(database, messages[0])
        with database.reading() as session:
            assert session.get_one(Job, another).succeeded == 1
    finally:
        with database.engine.begin() as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{head_revision()}'"))
            connection.execute(text("DROP TABLE next_things"))
            for table in ("jobs", "items", "blobs", "predictions", "chunks"):
                connection.execute(text(f"ALTER TABLE {table} DROP COLUMN of_the_next_version"))


def test_an_empty_or_older_database_lacks_needed_tables(tmp_path: Any) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    assert not has_needed_tables(database)
    upgrade(database, "0020")
    assert not has_needed_tables(database)
    upgrade(database)
    assert has_needed_tables(database)
    database.close()

"""Single rows read past SQLAlchemy are what SQLAlchemy would have read."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import bindparam, func, select
from sqlalchemy.exc import OperationalError

from db.engine import Database
from db.look_up import LookUp
from db.models import Job, JobStatus
from tests.integration.builders import NOW, a_job

EVERY_COLUMN = select(*Job.__table__.columns).where(Job.id == bindparam("job_id"))
RUNNING = select(func.count()).where(Job.status.in_((JobStatus.QUEUED, JobStatus.RUNNING)))


def a_stored_job(database: Database) -> str:
    with database.writing() as session:
        job = a_job(session, ["a"])
        job.expires_at = NOW
        job.details = {"season": "가을"}
        return job.id


def test_a_row_is_the_same_in_every_column(database: Database) -> None:
    job_id = a_stored_job(database)
    with database.reading() as session:
        expected = session.execute(EVERY_COLUMN, {"job_id": job_id}).one()
    look_up = LookUp(EVERY_COLUMN)
    assert look_up.first(database, job_id=job_id) == tuple(expected)
    assert look_up.first(database, job_id="job_nosuch") is None


def test_parameters_of_the_statement_itself_are_filled_in(database: Database) -> None:
    a_stored_job(database)
    assert LookUp(RUNNING).first(database) == (1,)


def test_each_look_up_sees_what_was_committed_before_it(database: Database) -> None:
    look_up = LookUp(RUNNING)
    assert look_up.first(database) == (0,)
    a_stored_job(database)
    assert look_up.first(database) == (1,)


def test_connections_that_the_server_has_ended_are_replaced(postgres_server: str, migrated_postgres: Database) -> None:
    look_up = LookUp(select(func.count()).select_from(Job))
    before = look_up.first(migrated_postgres)
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid()")
    assert look_up.first(migrated_postgres) == before


def test_a_database_that_is_away_is_said_to_be(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("away")
    database = Database(f"postgresql+psycopg://nobody@/nothing?host={folder}")
    with pytest.raises(OperationalError):
        LookUp(RUNNING).first(database)
    database.close()

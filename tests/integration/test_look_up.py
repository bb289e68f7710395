"""Rows that are read without SQLAlchemy equal those that SQLAlchemy reads."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import bindparam, func, select
from sqlalchemy.exc import OperationalError

from core.errors import ModelUnknown
from db import model_versions
from db.database import Database
from db.look_up import LookUp
from db.model_versions import ModelVersionCache
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob
from db.tables import Base, Job, JobSource, JobStatus
from db.views import items
from tests.integration.builders import NOW, POLICY, a_blob, a_job, a_model, finish, review

EVERY_COLUMN = select(*Job.__table__.columns).where(Job.id == bindparam("job_id"))
RUNNING = select(func.count()).where(Job.status.in_((JobStatus.QUEUED, JobStatus.RUNNING)))


def a_stored_job(database: Database) -> str:
    with database.writing() as session:
        job = a_job(session, ["a"])
        job.expires_at = NOW
        job.details = {"season": "가을"}
        return job.id


def test_a_row_equals_sqlalchemys_in_every_column(database: Database) -> None:
    job_id = a_stored_job(database)
    with database.reading() as session:
        expected = session.execute(EVERY_COLUMN, {"job_id": job_id}).one()
    look_up = LookUp(EVERY_COLUMN)
    assert look_up.first(database, job_id=job_id) == tuple(expected)
    assert look_up.first(database, job_id="job_nosuch") is None


def test_parameters_of_the_statement_itself_are_bound(database: Database) -> None:
    a_stored_job(database)
    assert LookUp(RUNNING).first(database) == (1,)


def test_each_look_up_sees_earlier_commits(database: Database) -> None:
    look_up = LookUp(RUNNING)
    assert look_up.first(database) == (0,)
    a_stored_job(database)
    assert look_up.first(database) == (1,)


def test_connections_that_the_server_ended_are_replaced(postgres_server: str, migrated_postgres: Database) -> None:
    look_up = LookUp(select(func.count()).select_from(Job))
    before = look_up.first(migrated_postgres)
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid()")
    assert look_up.first(migrated_postgres) == before


def test_an_unavailable_database_raises_an_operational_error(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("away")
    database = Database(f"postgresql+psycopg://nobody@/nothing?host={folder}")
    with pytest.raises(OperationalError):
        LookUp(RUNNING).first(database)
    database.close()


def columns(row: Base | None) -> dict[str, object]:
    return {} if row is None else {column.key: getattr(row, column.key) for column in row.__mapper__.column_attrs}


def test_the_first_item_of_a_job_equals_the_one_that_sqlalchemy_reads(database: Database) -> None:
    with database.writing() as session:
        new = NewJob("one", JobSource.CLASSIFICATION, a_model(session), details={"season": "가을"})
        new_item = NewItem("a.jpg", a_blob("a"), custom_id="1", details={"색": "파랑"})
        job, (message,) = submitting.create_with_chunks(session, new, [new_item], POLICY, NOW)
    pending = items.read_first_of_job(database, job.id)
    assert pending is not None
    assert (pending.prediction, pending.review) == (None, None)
    finish(database, message)
    review(database, job.id, {0: "dress"})
    found = items.read_first_of_job(database, job.id)
    with database.reading() as session:
        expected = items.get(session, pending.id)
        assert found is not None
        assert expected is not None
        assert columns(found) == columns(expected)
        assert columns(found.blob) == columns(expected.blob) != {}
        assert columns(found.prediction) == columns(expected.prediction) != {}
        assert columns(found.review) == columns(expected.review) != {}
    assert items.read_first_of_job(database, "job_nosuch") is None


def test_an_alias_is_resolved_to_its_current_version(database: Database) -> None:
    with database.writing() as session:
        first, second = a_model(session, "1").id, a_model(session, "2").id
    versions = ModelVersionCache(database)
    assert versions.resolve("production").id == first
    assert versions.resolve("production") is versions.resolve("production")
    with database.writing() as session:
        model_versions.promote(session, model_versions.resolve(session, "test@2"))
    assert versions.resolve("production").id == versions.resolve("test").id == second
    assert versions.resolve("test@1").id == first
    with pytest.raises(ModelUnknown, match="test@1"):
        versions.resolve("nosuch")


def test_a_new_job_equals_the_one_that_is_read_later(database: Database) -> None:
    with database.writing() as session:
        new = NewJob("new", JobSource.UPLOADS, a_model(session), top_k=3, details={"season": "가을"}, expires_at=NOW)
        job, _ = submitting.create_with_chunks(session, new, [NewItem("a.jpg", a_blob("a"))], POLICY, NOW)
    with database.reading() as session:
        assert columns(job) == columns(session.get_one(Job, job.id))

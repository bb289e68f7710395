from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import PrimaryKeyConstraint, UniqueConstraint, inspect, select, text

from cli.registry import replace_missing_production
from core.errors import ArtifactInvalid, ModelUnknown
from core.types import ModelRef
from db import model_versions
from db.database import Database
from db.migrate import downgrade, upgrade
from db.model_versions import NewModelVersion
from db.tables import Base, Blob, Item, Job, Review
from tests.integration.builders import NOW, TAXONOMY, a_model, a_varied_job
from tests.integration.test_tallies import counted, tallied


def test_migrations_create_the_tables_that_the_classes_describe(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, Base.metadata) == []


def test_every_reference_to_rows_that_are_removed_has_an_index() -> None:
    # Without one, the database reads the whole table for each removed row. Model versions are never removed.
    missing = []
    for table in Base.metadata.sorted_tables:
        unique = (key for key in table.constraints if isinstance(key, (PrimaryKeyConstraint, UniqueConstraint)))
        indexed = {next(iter(key.columns)) for key in (*table.indexes, *unique)}
        referring = (key for key in table.foreign_key_constraints if key.referred_table.name != "model_versions")
        missing += [str(key) for key in referring if next(iter(key.columns)) not in indexed]
    assert missing == []


def test_migrations_can_be_reverted_and_applied_again(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    upgrade(database)
    downgrade(database)
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    upgrade(database)
    assert "jobs" in inspect(database.engine).get_table_names()
    database.close()


def test_migrations_can_be_reverted_on_postgresql(postgres_server: str) -> None:
    database = Database(postgres_server.replace("postgresql://", "postgresql+psycopg://", 1))
    upgrade(database)
    downgrade(database)
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    upgrade(database)
    database.close()


def test_an_upgrade_counts_items_under_the_labels_of_earlier_reviews(database: Database) -> None:
    job_id = a_varied_job(database)
    downgrade(database, "0009")
    with database.engine.begin() as connection:
        # Reviews as they were before: the item keeps the predicted label.
        columns = "id, item_id, job_id, position, label, rejected, created_at, updated_at"
        for position, label in ((0, "'dress'"), (2, "NULL"), (3, "'shirt'")):
            connection.execute(
                text(
                    f"INSERT INTO reviews ({columns}) SELECT 'rev_{position}', id, job_id, position, {label}, "
                    f"{label == 'NULL'}, created_at, created_at FROM items "
                    f"WHERE job_id = '{job_id}' AND position = {position}"
                )
            )
    upgrade(database)
    with database.reading() as session:
        listed = select(Item.label).where(Item.job_id == job_id, Item.position < 4).order_by(Item.position)
        assert session.scalars(listed).all() == ["dress", "dress", None, "shirt"]
        predicted = session.scalars(select(Review.predicted).order_by(Review.position)).all()
        assert predicted == ["shirt", "shirt", "shirt"]
        assert tallied(session, job_id) == counted(session, job_id)
        job = session.get_one(Job, job_id)
        assert (job.retryable, job.run_seconds, job.run_at is not None) == (job.failed, 0.0, True)
    downgrade(database, "0009")
    with database.engine.connect() as connection:
        bins = connection.execute(text("SELECT label, bin FROM label_tallies")).all()
        assert {(label, number <= 9) for label, number in bins} == {("shirt", True), ("dress", True)}
    upgrade(database)


def test_concurrent_writers_wait_instead_of_failing(database: Database) -> None:
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for step in range(10):
                with database.writing() as session:
                    session.scalars(select(Blob)).all()
                    session.add(Blob(sha256=f"{number:02}{step:02}".zfill(64), bytes=1, created_at=NOW))
        except BaseException as error:  # noqa: BLE001 (carried over to the test's own thread)
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.reading() as session:
        assert len(session.scalars(select(Blob)).all()) == 80


def test_times_are_read_as_aware_and_in_utc(database: Database) -> None:
    with database.writing() as session:
        session.add(Blob(sha256="0" * 64, bytes=1, created_at=NOW))
    with database.reading() as session:
        assert session.scalars(select(Blob.created_at)).one() == NOW


def test_the_first_model_version_becomes_production_and_later_ones_do_not(database: Database) -> None:
    with database.writing() as session:
        a_model(session, "1")
        a_model(session, "2")
        assert model_versions.resolve(session, "production").ref == "test@1"
        assert model_versions.resolve(session, "test").ref == "test@2"
        assert model_versions.resolve(session, "test@1").ref == "test@1"
        assert model_versions.list_aliases(session) == {"production": "test@1"}


def test_the_error_of_an_unknown_model_lists_known_models(database: Database) -> None:
    with database.writing() as session:
        a_model(session)
        for unknown in ("nobody", "test@9", "nobody@1"):
            with pytest.raises(ModelUnknown, match=r"test@1, production; got '.*'"):
                model_versions.resolve(session, unknown)


def test_a_version_cannot_be_registered_with_other_content(database: Database) -> None:
    with database.writing() as session:
        a_model(session)
        a_model(session)
        other = NewModelVersion(ModelRef("test", "1"), "f" * 64, TAXONOMY, {}, {}, "")
        with pytest.raises(ArtifactInvalid, match="immutable"):
            model_versions.register(session, other, NOW)


def test_a_production_model_without_an_artifact_is_replaced_by_the_newest_of_its_name(database: Database) -> None:
    with database.writing() as session:
        for version in ("1", "2", "3"):
            a_model(session, version)
    assert replace_missing_production(database, []) is None
    assert replace_missing_production(database, [ModelRef("test", "1"), ModelRef("test", "2")]) is None
    assert replace_missing_production(database, [ModelRef("test", "2"), ModelRef("test", "3")]) == ModelRef("test", "3")
    with database.reading() as session:
        assert model_versions.list_aliases(session) == {"production": "test@3"}


def test_only_durable_connections_sync_every_commit(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    for durable, level in ((True, 2), (False, 1)):
        database = Database(url, durable=durable)
        with database.engine.connect() as connection:
            # 1 is NORMAL and 2 is FULL, see sqlite.org/pragma.html#pragma_synchronous.
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level
        database.close()

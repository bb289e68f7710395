"""Bring a database to the tables of this version, by Alembic."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from db.database import Database

_FOLDER = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    # ConfigParser reads a single % as the start of an interpolation, and the project's path may contain one.
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(database: Database, revision: str = "head") -> None:
    """Apply every migration up to `revision` in one transaction."""
    _run(database, lambda config: command.upgrade(config, revision))


def downgrade(database: Database, revision: str = "base") -> None:
    """Undo every migration after `revision`, in one transaction.

    Raises:
        alembic.util.CommandError: This version of the code does not know the revision, or that of the database.
    """
    _run(database, lambda config: command.downgrade(config, revision))


def list_revisions() -> list[str]:
    """Return the migrations of this version of the code, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def has_needed_tables(database: Database) -> bool:
    """Return whether a database has the tables that this version of the code needs.

    A migration that the code does not know is that of a newer version. It keeps all that the version before needs, so
    that processes go on while an installation is upgraded (tests/integration/test_upgrades.py).
    """
    current = current_revision(database)
    return current is not None and (current == head_revision() or current not in list_revisions())


def current_revision(database: Database) -> str | None:
    """Return the last migration that was applied to a database, or None if none was."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


@cache
def head_revision() -> str:
    """Return the newest migration of this version of the code."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def _run(database: Database, work: Callable[[Config], None]) -> None:
    config = _config()
    with database.engine.execution_options(lookbook_writing=True).begin() as connection:
        config.attributes["connection"] = connection
        work(config)

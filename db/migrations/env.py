"""Alembic's environment. The connection comes from db/migrate.py, and there is no alembic.ini."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from db.tables import Base, UtcDateTime


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write `UtcDateTime` as its column type, because an old migration must not depend on a class of the project."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    render_item=render_item,
)
with context.begin_transaction():
    context.run_migrations()

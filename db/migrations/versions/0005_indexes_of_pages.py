"""Indexes that hold a job's items in the orders of its pages

Revision: 0005
After: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INDEXES = {
    ("job_id", "label", "position"): "label IS NOT NULL",
    ("job_id", "label", "confidence", "position"): "label IS NOT NULL",
    ("job_id", "confidence", "position"): "confidence IS NOT NULL",
}


def upgrade() -> None:
    for columns, where in _INDEXES.items():
        condition = sa.text(where)
        op.create_index(
            f"ix_items_{'_'.join(columns)}", "items", columns, sqlite_where=condition, postgresql_where=condition
        )


def downgrade() -> None:
    for columns in reversed(_INDEXES):
        op.drop_index(f"ix_items_{'_'.join(columns)}", "items")

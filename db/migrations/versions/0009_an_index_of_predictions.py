"""An index that finds the items of a prediction

Revision: 0009
After: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_PREDICTED = sa.text("prediction_id IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_items_prediction_id",
        "items",
        ["prediction_id"],
        sqlite_where=_PREDICTED,
        postgresql_where=_PREDICTED,
    )


def downgrade() -> None:
    op.drop_index("ix_items_prediction_id", "items")

"""Owners of keys, and keys that expire

Revision: 0024
After: 0023
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Earlier keys have no owner in the column: each is its own owner, as before.
    op.add_column("api_keys", sa.Column("joined_owner", sa.String(length=40), nullable=True))
    op.add_column("api_keys", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("api_keys") as table:
        table.drop_column("expires_at")
        table.drop_column("joined_owner")

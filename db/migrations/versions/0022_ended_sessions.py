"""Sessions of browsers that signed out

Revision: 0022
After: 0021
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ended_sessions",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_ended_sessions"),
    )
    op.create_index("ix_ended_sessions_due_at", "ended_sessions", ["due_at"])


def downgrade() -> None:
    op.drop_table("ended_sessions")

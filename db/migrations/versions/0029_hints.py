"""Hints: which items of a job a person should look at first

Revision: 0029
After: 0028
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "item_hints",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id", "position"],
            ["items.job_id", "items.position"],
            name="fk_item_hints_job_id_items",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "kind", "rank", name="pk_item_hints"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_item_hints_job_id_position", "item_hints", ["job_id", "position"])
    op.create_table(
        "hint_runs",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reviews", sa.Integer(), nullable=False),
        sa.Column("found", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_hint_runs_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name="pk_hint_runs"),
    )
    due = sa.text("computed_at IS NULL")
    op.create_index("ix_hint_runs_due", "hint_runs", ["requested_at"], sqlite_where=due, postgresql_where=due)


def downgrade() -> None:
    op.drop_table("hint_runs")
    op.drop_table("item_hints")

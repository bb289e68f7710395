"""Leases that workers take, cancel, removal and webhooks of jobs

Revision: 0002
After: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_MOMENTS = ("cancel_requested_at", "deleted_at", "purged_at")


def upgrade() -> None:
    for name in _MOMENTS:
        op.add_column("jobs", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("webhook", sa.JSON(none_as_null=True), nullable=True))
    op.create_index("ix_jobs_expires_at", "jobs", ["expires_at"])
    op.create_index("ix_jobs_deleted_at", "jobs", ["deleted_at"])
    _make_chunks(
        sa.Column("taken_by", sa.String(length=200), nullable=True),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
    )
    # The chunks were leased by workers of an older version, therefore all of them are queued again.
    op.execute(
        "INSERT INTO chunks (id, job_id, attempts, due_at) SELECT id, job_id, 0, leased_until FROM chunks_before"
    )
    op.drop_table("chunks_before")
    for column in ("job_id", "due_at", "taken_by"):
        op.create_index(f"ix_chunks_{column}", "chunks", [column])


def downgrade() -> None:
    _make_chunks(sa.Column("leased_until", sa.DateTime(timezone=True), nullable=False))
    op.execute(
        "INSERT INTO chunks (id, job_id, attempts, leased_until) SELECT id, job_id, 1, due_at FROM chunks_before"
    )
    op.drop_table("chunks_before")
    for column in ("job_id", "leased_until"):
        op.create_index(f"ix_chunks_{column}", "chunks", [column])
    op.drop_index("ix_jobs_deleted_at", "jobs")
    op.drop_index("ix_jobs_expires_at", "jobs")
    op.drop_column("jobs", "webhook")
    for name in reversed(_MOMENTS):
        op.drop_column("jobs", name)


def _make_chunks(*columns: sa.Column[object]) -> None:
    """Rename the table `chunks` to `chunks_before`, and create a new table `chunks` with these columns."""
    bind = op.get_bind()
    for index in sa.inspect(bind).get_indexes("chunks"):
        op.drop_index(str(index["name"]), "chunks")
    op.rename_table("chunks", "chunks_before")
    if bind.dialect.name == "postgresql":
        # PostgreSQL's constraint names are unique in the schema, and the new table uses the same names.
        op.execute("ALTER TABLE chunks_before DROP CONSTRAINT pk_chunks, DROP CONSTRAINT fk_chunks_job_id_jobs")
    op.create_table(
        "chunks",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_chunks_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_chunks"),
    )

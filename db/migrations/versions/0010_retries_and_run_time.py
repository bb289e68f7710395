"""Failures that a retry takes, and the time for which a job has run

Revision: 0010
After: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_COUNT_RETRYABLE = """
    UPDATE error_tallies SET retryable = (
        SELECT COUNT(*) FROM items WHERE items.job_id = error_tallies.job_id AND items.status = 'failed'
        AND items.error_code = error_tallies.code AND items.error_retryable)
"""
_SUM_RETRYABLE = """
    UPDATE jobs SET retryable = (
        SELECT COALESCE(SUM(error_tallies.retryable), 0) FROM error_tallies WHERE error_tallies.job_id = jobs.id)
"""


def upgrade() -> None:
    op.add_column("jobs", sa.Column("retryable", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("run_seconds", sa.Float(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("run_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("error_tallies", sa.Column("retryable", sa.Integer(), nullable=False, server_default="0"))
    # A retry takes what says that it is retryable. An item without bytes and without a URL never was.
    op.execute(
        "UPDATE items SET error_retryable = false "
        "WHERE status = 'failed' AND blob_sha256 IS NULL AND source_url IS NULL"
    )
    op.execute(_COUNT_RETRYABLE)
    op.execute(_SUM_RETRYABLE)
    # Only the first start and the last end of a job are known.
    seconds = (
        "EXTRACT(EPOCH FROM finished_at - started_at)"
        if op.get_bind().dialect.name == "postgresql"
        else "(julianday(finished_at) - julianday(started_at)) * 86400"
    )
    op.execute(f"UPDATE jobs SET run_seconds = {seconds} WHERE finished_at >= started_at")
    op.execute("UPDATE jobs SET run_at = started_at WHERE finished_at IS NULL")


def downgrade() -> None:
    op.drop_column("error_tallies", "retryable")
    for name in ("run_at", "run_seconds", "retryable"):
        op.drop_column("jobs", name)

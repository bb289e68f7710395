"""Sources that workers read, keys, reviews, idempotent requests, and tallies of items

Revision: 0004
After: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = (
    "label_tallies",
    "error_tallies",
    "reviews",
    "discoveries",
    "idempotent_requests",
    "usage_days",
    "api_keys",
)
_ITEM_COLUMNS = ("custom_id", "source_url", "provenance", "metadata")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("key_id", sa.String(length=40), nullable=True))
    op.create_index("ix_jobs_key_id_id", "jobs", ["key_id", "id"])
    op.add_column("chunks", sa.Column("stage", sa.String(length=20), nullable=False, server_default="classify"))
    for name in _ITEM_COLUMNS[:2]:
        op.add_column("items", sa.Column(name, sa.Text(), nullable=True))
    for name in _ITEM_COLUMNS[2:]:
        op.add_column("items", sa.Column(name, sa.JSON(none_as_null=True), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        # An archive can be larger than 2 GiB, the limit of PostgreSQL's 32-bit integer. SQLite's integers have 64 bits.
        op.alter_column("blobs", "bytes", type_=sa.BigInteger())
    _create_discoveries()
    _create_access()
    _create_reviews()
    _create_tallies()


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
    for name in reversed(_ITEM_COLUMNS):
        op.drop_column("items", name)
    op.drop_column("chunks", "stage")
    op.drop_index("ix_jobs_key_id_id", "jobs")
    op.drop_column("jobs", "key_id")
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("blobs", "bytes", type_=sa.Integer())


def _create_discoveries() -> None:
    op.create_table(
        "discoveries",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("blob_sha256", sa.String(length=64), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("taken_by", sa.String(length=200), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["blob_sha256"], ["blobs.sha256"], name="fk_discoveries_blob_sha256_blobs"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_discoveries_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name="pk_discoveries"),
    )
    op.create_index("ix_discoveries_due_at", "discoveries", ["due_at"])
    op.create_index("ix_discoveries_blob_sha256", "discoveries", ["blob_sha256"])


def _create_access() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("rate_limit", sa.Integer(), nullable=True),
        sa.Column("quota", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_table(
        "usage_days",
        sa.Column("owner", sa.String(length=40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "day", name="pk_usage_days"),
    )
    op.create_table(
        "idempotent_requests",
        sa.Column("owner", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("job_id", sa.String(length=40), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name="pk_idempotent_requests"),
    )
    op.create_index("ix_idempotent_requests_due_at", "idempotent_requests", ["due_at"])


def _create_reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("item_id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=True),
        sa.Column("rejected", sa.Boolean(), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(label IS NULL) = rejected", name="ck_reviews_label_or_rejected"),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name="fk_reviews_item_id_items", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_reviews_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
        sa.UniqueConstraint("item_id", name="uq_reviews_item_id"),
    )
    op.create_index("ix_reviews_job_id_position", "reviews", ["job_id", "position"])


def _create_tallies() -> None:
    op.create_table(
        "label_tallies",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("bin", sa.Integer(), nullable=False),
        sa.Column("label_group", sa.String(length=100), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("confidence_sum", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_label_tallies_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "label", "bin", name="pk_label_tallies"),
    )
    op.create_table(
        "error_tallies",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=50), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_error_tallies_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "code", name="pk_error_tallies"),
    )
    # The tallies start with the counts of the existing items.
    bin_number = (
        "CASE WHEN confidence >= 1 THEN 9 ELSE CAST(ROUND(CAST(confidence * 10 - 0.5 AS NUMERIC)) AS INTEGER) END"
    )
    op.execute(
        "INSERT INTO label_tallies (job_id, label, bin, label_group, count, confidence_sum) "
        f"SELECT job_id, label, {bin_number}, label_group, COUNT(*), SUM(confidence) "
        f"FROM items WHERE status = 'succeeded' GROUP BY job_id, label, {bin_number}, label_group"
    )
    op.execute(
        "INSERT INTO error_tallies (job_id, code, count) "
        "SELECT job_id, error_code, COUNT(*) FROM items WHERE status = 'failed' GROUP BY job_id, error_code"
    )

"""Fingerprints of pictures, and the items that show the same one

Revision: 0006
After: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BANDS = tuple(f"band_{number}" for number in range(8))
_UNLINKED = sa.text(
    "duplicates IS NULL AND status IN ('completed', 'canceled', 'failed') AND deleted_at IS NULL AND purged_at IS NULL"
)


def upgrade() -> None:
    op.add_column("blobs", sa.Column("fingerprint", sa.LargeBinary(), nullable=True))
    op.add_column("items", sa.Column("duplicate_of", sa.String(length=40), nullable=True))
    op.add_column("jobs", sa.Column("duplicates", sa.Integer(), nullable=True))
    op.create_index("ix_jobs_unlinked", "jobs", ["id"], sqlite_where=_UNLINKED, postgresql_where=_UNLINKED)
    op.create_table(
        "blob_bands",
        sa.Column("blob_sha256", sa.String(length=64), nullable=False),
        *(sa.Column(band, sa.Integer(), nullable=False) for band in _BANDS),
        sa.ForeignKeyConstraint(
            ["blob_sha256"], ["blobs.sha256"], name="fk_blob_bands_blob_sha256_blobs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("blob_sha256", name="pk_blob_bands"),
    )
    for band in _BANDS:
        op.create_index(f"ix_blob_bands_{band}", "blob_bands", [band])


def downgrade() -> None:
    op.drop_table("blob_bands")
    op.drop_index("ix_jobs_unlinked", "jobs")
    op.drop_column("jobs", "duplicates")
    op.drop_column("items", "duplicate_of")
    op.drop_column("blobs", "fingerprint")

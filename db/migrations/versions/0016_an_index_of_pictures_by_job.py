"""An index that finds a picture within a job

Revision: 0016
After: 0015
"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_items_blob_sha256_job_id", "items", ["blob_sha256", "job_id"])
    op.drop_index("ix_items_blob_sha256", "items")


def downgrade() -> None:
    op.create_index("ix_items_blob_sha256", "items", ["blob_sha256"])
    op.drop_index("ix_items_blob_sha256_job_id", "items")

"""Pictures whose data ends too early

Revision: 0019
After: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("blobs", sa.Column("truncated", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("blobs", "truncated")

"""Pictures of a single colour

Revision: 0021
After: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("blobs", sa.Column("flat", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("blobs", "flat")

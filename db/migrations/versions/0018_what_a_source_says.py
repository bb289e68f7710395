"""What the columns of a manifest mean, and the files of an archive that are no pictures

Revision: 0018
After: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("left_out", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("columns", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "columns")
    op.drop_column("jobs", "left_out")

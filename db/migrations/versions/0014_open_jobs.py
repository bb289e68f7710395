"""Jobs that stay open, so that a client can add items to them

Revision: 0014
After: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("open_until", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_jobs_open_until", "jobs", ["open_until"])


def downgrade() -> None:
    op.drop_index("ix_jobs_open_until", "jobs")
    op.drop_column("jobs", "open_until")

"""Regions of items

Revision: 0008
After: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "item_regions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("item_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("crop_key", sa.String(length=80), nullable=False),
        sa.Column("prediction_id", sa.String(length=40), nullable=True),
        sa.Column("reused", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name="fk_item_regions_item_id_items", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["prediction_id"], ["predictions.id"], name="fk_item_regions_prediction_id_predictions"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_item_regions"),
        sa.UniqueConstraint("item_id", "position", name="uq_item_regions_item_id_position"),
        sa.UniqueConstraint("item_id", "name", name="uq_item_regions_item_id_name"),
    )
    op.create_index("ix_item_regions_prediction_id", "item_regions", ["prediction_id"])


def downgrade() -> None:
    op.drop_table("item_regions")

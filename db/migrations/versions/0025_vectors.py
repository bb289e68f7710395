"""Vectors of predictions, and jobs without them

Revision: 0025
After: 0024
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "vectors",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("prediction_id", sa.String(length=40), nullable=False),
        sa.Column("model_version_id", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["prediction_id"], ["predictions.id"], name="fk_vectors_prediction_id_predictions", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_versions.id"], name="fk_vectors_model_version_id_model_versions"
        ),
        sa.PrimaryKeyConstraint("number", name="pk_vectors"),
        sa.UniqueConstraint("prediction_id", name="uq_vectors_prediction_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vectors_model_version_id_number", "vectors", ["model_version_id", "number"])
    op.add_column("jobs", sa.Column("vectors", sa.Boolean(), server_default=sa.true(), nullable=False))


def downgrade() -> None:
    op.drop_column("jobs", "vectors")
    op.drop_table("vectors")

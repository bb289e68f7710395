"""Shadow runs, and the pictures that they compare

Revision: 0023
After: 0022
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shadow_runs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("candidate_id", sa.Integer(), nullable=False),
        sa.Column("against_id", sa.Integer(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("read_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["candidate_id"], ["model_versions.id"], name="fk_shadow_runs_candidate_id_model_versions"
        ),
        sa.ForeignKeyConstraint(["against_id"], ["model_versions.id"], name="fk_shadow_runs_against_id_model_versions"),
        sa.PrimaryKeyConstraint("id", name="pk_shadow_runs"),
    )
    op.create_index("ix_shadow_runs_ended_at", "shadow_runs", ["ended_at"])
    op.create_index("ix_shadow_runs_candidate_id_id", "shadow_runs", ["candidate_id", "id"])
    op.create_table(
        "shadow_pictures",
        sa.Column("shown_prediction_id", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("candidate_prediction_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["shown_prediction_id"],
            ["predictions.id"],
            name="fk_shadow_pictures_shown_prediction_id_predictions",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["shadow_runs.id"], name="fk_shadow_pictures_run_id_shadow_runs", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["candidate_prediction_id"],
            ["predictions.id"],
            name="fk_shadow_pictures_candidate_prediction_id_predictions",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("shown_prediction_id", "run_id", name="pk_shadow_pictures"),
    )
    op.create_index("ix_shadow_pictures_candidate_prediction_id", "shadow_pictures", ["candidate_prediction_id"])
    op.create_index("ix_shadow_pictures_run_id", "shadow_pictures", ["run_id"])


def downgrade() -> None:
    op.drop_table("shadow_pictures")
    op.drop_table("shadow_runs")

"""Items listed under the label of their review, better crops, and twenty bins of confidence

Revision: 0011
After: 0010
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_LIST_UNDER_REVIEW = sa.text("""
    UPDATE items SET label = :label, label_group = :label_group WHERE id IN (
        SELECT reviews.item_id FROM reviews JOIN jobs ON jobs.id = reviews.job_id
        WHERE reviews.label = :label AND jobs.model_version_id = :model_version_id)
""")


def upgrade() -> None:
    op.add_column("reviews", sa.Column("predicted", sa.String(length=100), nullable=False, server_default=""))
    op.add_column("reviews", sa.Column("crop_key", sa.String(length=80), nullable=True))
    op.execute("UPDATE reviews SET predicted = (SELECT items.label FROM items WHERE items.id = reviews.item_id)")
    connection = op.get_bind()
    for model_version_id, taxonomy in connection.execute(sa.text("SELECT id, taxonomy FROM model_versions")).all():
        labels = (json.loads(taxonomy) if isinstance(taxonomy, str) else taxonomy)["labels"]
        for label in labels:
            values = {"label": label["id"], "label_group": label["group"], "model_version_id": model_version_id}
            connection.execute(_LIST_UNDER_REVIEW, values)
    op.execute(
        "UPDATE items SET label = NULL, label_group = NULL WHERE id IN (SELECT item_id FROM reviews WHERE rejected)"
    )
    _count_labels(20)


def downgrade() -> None:
    op.execute("""
        UPDATE items SET (label, label_group) = (
            SELECT predictions.label, predictions.label_group FROM predictions
            WHERE predictions.id = items.prediction_id)
        WHERE id IN (SELECT item_id FROM reviews)
    """)
    op.drop_column("reviews", "crop_key")
    op.drop_column("reviews", "predicted")
    _count_labels(10)


def _count_labels(bins: int) -> None:
    """Count the items of every job anew."""
    # A cast to an integer rounds on PostgreSQL and cuts on SQLite, which may lack FLOOR. No confidence is negative.
    floor = "FLOOR" if op.get_bind().dialect.name == "postgresql" else ""
    number = f"CASE WHEN confidence >= 1 THEN {bins - 1} ELSE CAST({floor}(confidence * {bins}) AS INTEGER) END"
    op.execute("DELETE FROM label_tallies")
    op.execute(
        "INSERT INTO label_tallies (job_id, label, bin, label_group, count, confidence_sum) "
        f"SELECT job_id, COALESCE(label, ''), {number}, COALESCE(label_group, ''), COUNT(*), SUM(confidence) "
        f"FROM items WHERE status = 'succeeded' GROUP BY job_id, label, {number}, label_group"
    )

"""The text in which an item is searched, in a table of its own

Revision: 0020
After: 0019
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from core.search import searchable

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_ROWS_AT_ONCE = 5000
_PRODUCT = ("title", "sku", "brand", "product_id", "gtin", "mpn")


def upgrade() -> None:
    texts = op.create_table(
        "item_texts",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id", "position"],
            ["items.job_id", "items.position"],
            name="fk_item_texts_job_id_items",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "position", name="pk_item_texts"),
        sqlite_with_rowid=False,
    )
    names = ("job_id", "position", "source_name", "custom_id", "source_url")
    items = sa.table("items", *(sa.column(name) for name in names), sa.column("provenance", sa.JSON()))
    key = sa.tuple_(items.c.job_id, items.c.position)
    first_rows = sa.select(items).order_by(items.c.job_id, items.c.position).limit(_ROWS_AT_ONCE)
    rows = op.get_bind().execute(first_rows).all()
    while rows:
        op.bulk_insert(texts, [_text_row(row) for row in rows])
        after = sa.tuple_(sa.literal(rows[-1].job_id), sa.literal(rows[-1].position))
        rows = op.get_bind().execute(first_rows.where(key > after)).all()


def _text_row(row: sa.Row[Any]) -> dict[str, object]:
    product = (row.provenance or {}).get("product") or {}
    named = (product.get(name) for name in _PRODUCT)
    text = searchable([row.source_name, row.custom_id, *named, row.source_url])
    return {"job_id": row.job_id, "position": row.position, "text": text}


def downgrade() -> None:
    op.drop_table("item_texts")

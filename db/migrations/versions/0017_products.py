"""Products: an id and a SKU of items, one object in their provenance, and the verdicts of their photos

Revision: 0017
After: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_MOVED = {"title": "title", "price": "price", "currency": "currency", "category": "category", "product_url": "url"}
"""Member of `provenance` before -> member of its `product` now."""


def upgrade() -> None:
    op.add_column("items", sa.Column("product_id", sa.String(length=200), nullable=True))
    op.add_column("items", sa.Column("sku", sa.String(length=200), nullable=True))
    flat = {new: f"'$.{old}'" for old, new in _MOVED.items()}
    if op.get_bind().dialect.name == "postgresql":
        rest = "provenance::jsonb - ARRAY[" + ", ".join(f"'{old}'" for old in _MOVED) + "]"
        members = ", ".join(f"'{new}', provenance->>'{old}'" for old, new in _MOVED.items())
        product = f"jsonb_strip_nulls(jsonb_build_object({members}))"
        moved = f"(({rest}) || jsonb_build_object('product', {product}))::json"
        known = "provenance::jsonb ?| ARRAY[" + ", ".join(f"'{old}'" for old in _MOVED) + "]"
    else:
        rest = f"json_remove(provenance, {', '.join(flat.values())})"
        members = ", ".join(f"'{new}', json_extract(provenance, {old})" for new, old in flat.items())
        # A merge with an object leaves out members that are null (RFC 7396).
        product = f"json_patch('{{}}', json_object({members}))"
        moved = f"json_set({rest}, '$.product', json({product}))"
        known = " OR ".join(f"json_extract(provenance, {old}) IS NOT NULL" for old in flat.values())
    op.execute(f"UPDATE items SET provenance = {moved} WHERE provenance IS NOT NULL AND ({known})")
    is_product, has_sku = sa.text("product_id IS NOT NULL"), sa.text("sku IS NOT NULL")
    op.create_index(
        "ix_items_job_id_product_id_position",
        "items",
        ["job_id", "product_id", "position"],
        sqlite_where=is_product,
        postgresql_where=is_product,
    )
    op.create_index(
        "ix_items_job_id_sku_position",
        "items",
        ["job_id", "sku", "position"],
        sqlite_where=has_sku,
        postgresql_where=has_sku,
    )
    op.add_column("jobs", sa.Column("products", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "products",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("product_id", sa.String(length=200), nullable=False),
        sa.Column("pictures", sa.Integer(), nullable=False),
        sa.Column("category_labels", sa.Text(), nullable=True),
        sa.Column("label", sa.String(length=100), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("has_set_apart", sa.Boolean(), nullable=False),
        sa.Column("contradicts", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_products_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "product_id", name="pk_products"),
    )


def downgrade() -> None:
    op.drop_table("products")
    op.drop_column("jobs", "products")
    op.drop_index("ix_items_job_id_sku_position", "items")
    op.drop_index("ix_items_job_id_product_id_position", "items")
    if op.get_bind().dialect.name == "postgresql":
        members = ", ".join(f"'{old}', provenance->'product'->>'{new}'" for old, new in _MOVED.items())
        flat = f"jsonb_strip_nulls(jsonb_build_object({members}))"
        moved, known = f"((provenance::jsonb - 'product') || {flat})::json", "provenance->'product' IS NOT NULL"
    else:
        members = ", ".join(f"'{old}', json_extract(provenance, '$.product.{new}')" for old, new in _MOVED.items())
        moved = f"json_patch(json_remove(provenance, '$.product'), json_object({members}))"
        known = "json_extract(provenance, '$.product') IS NOT NULL"
    op.execute(f"UPDATE items SET provenance = {moved} WHERE {known}")
    op.drop_column("items", "sku")
    op.drop_column("items", "product_id")

"""The products of a job, with the verdicts of their photos: a list, and an export."""

from __future__ import annotations

from apiflask import APIBlueprint

from api.answers.paging import cut_page, decode_cursor_value, link_header
from api.answers.present import product_out, thumbnail_path
from api.answers.problems import invalid_field_problem
from api.answers.spec import EXPORT_RESPONSE
from api.door.access import require_job
from api.schemas.common import Answer
from api.schemas.items import LabelRefOut
from api.schemas.product_verdicts import (
    PhotoOut,
    ProductsExportQuery,
    ProductsFilter,
    ProductsOut,
    ProductsQuery,
    ProductVerdictOut,
)
from api.services import current_services
from api.views.exports import export_file
from db.tables import Job
from db.views import products
from db.views.labels import labels_of
from db.views.product_exports import ProductExport
from db.views.products import ProductFilter, ProductVerdict

bp = APIBlueprint("products", __name__, tag="Jobs")

_MAX_PHOTOS = 50


@bp.get("/v1/jobs/<job_id>/products")
@bp.input(ProductsQuery, location="query")
@bp.output(ProductsOut)
@bp.doc(
    summary="List the products of a job",
    description="One row for each product, in the order of the product ids. Its photos vote for the verdict: reviews "
    "win over predictions, and the votes are weighted by confidence. Items without a product are left out.",
    operation_id="list_products",
)
def list_products(job_id: str, query_data: ProductsQuery) -> Answer:
    after = decode_cursor_value(query_data.cursor, "product_id", str)
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        wanted = _product_filter(job, query_data)
        rows = products.list_of_job(session, job.id, wanted, after, query_data.limit + 1)
        labels = {row["id"]: row for row in labels_of(job)}
    page, next_cursor = cut_page(rows, query_data.limit, lambda row: {"product_id": row.product.product_id})
    names = {key: LabelRefOut(id=key, name=row["name"]["en"], group=row["group"]) for key, row in labels.items()}
    data = [_product_verdict_out(row, names) for row in page]
    return ProductsOut(data=data, next_cursor=next_cursor), 200, link_header(next_cursor)


@bp.get("/v1/jobs/<job_id>/products/export")
@bp.input(ProductsExportQuery, location="query")
@bp.doc(
    summary="Export the products of a job as one file",
    description="One row for each product. Takes the same filters as the list of products, and answers as the export "
    "of items does.",
    operation_id="export_products",
    responses={**EXPORT_RESPONSE, 410: "The job has expired"},
)
def export_products(job_id: str, query_data: ProductsExportQuery) -> Answer:
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        export = ProductExport(job.id, _product_filter(job, query_data))
    return export_file(job, export, query_data.format)


def _product_filter(job: Job, query: ProductsFilter) -> ProductFilter:
    known_ids = [row["id"] for row in labels_of(job)]
    if query.label is not None and query.label not in known_ids:
        detail = f"expected one of {', '.join(known_ids)}; got {query.label!r}"
        raise invalid_field_problem("label", detail, "unknown_label")
    return ProductFilter(
        query.product_id,
        query.label,
        query.contradicts,
        query.set_apart,
        query.min_confidence,
        query.max_confidence,
    )


def _product_verdict_out(row: ProductVerdict, names: dict[str, LabelRefOut]) -> ProductVerdictOut:
    product, vote = product_out(row.product.product_id, row.facts), row.vote
    assert product is not None, "an item with a product id has a product"
    apart = frozenset(vote.set_apart)
    return ProductVerdictOut(
        product=product,
        pictures=row.product.pictures,
        verdict=None if vote.label is None else names[vote.label],
        confidence=vote.confidence,
        votes=vote.votes,
        by_review=vote.by_review,
        set_apart=list(vote.set_apart),
        contradicts_category=row.product.contradicts,
        category_labels=row.category_labels,
        photos=[
            PhotoOut(
                id=photo.id,
                label=photo.label,
                confidence=photo.confidence,
                reviewed=photo.reviewed,
                set_apart=photo.id in apart,
                thumbnail=None if photo.confidence is None else thumbnail_path(photo.id),
            )
            for photo in row.photos[:_MAX_PHOTOS]
        ],
    )

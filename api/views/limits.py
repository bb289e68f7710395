"""The limits of this service, so that clients can refuse the rest before they send it."""

from __future__ import annotations

from apiflask import APIBlueprint

from api.intake.crawls import list_recipes
from api.schemas.common import Answer
from api.schemas.limits import CrawlMaximumsOut, LimitsOut, RecipesOut
from api.services import current_services
from core.pictures import format_names

bp = APIBlueprint("limits", __name__, tag="Limits")


@bp.get("/v1/limits")
@bp.output(LimitsOut)
@bp.doc(summary="Get the limits of requests", operation_id="get_limits")
def get_limits() -> Answer:
    settings = current_services().settings
    return LimitsOut(
        picture_bytes=settings.max_picture_bytes,
        request_bytes=settings.max_request_bytes,
        request_files=settings.max_request_files,
        archive_bytes=settings.max_archive_bytes,
        manifest_bytes=settings.max_manifest_bytes,
        source_items=settings.max_source_items,
        formats=format_names(),
        crawl=CrawlMaximumsOut(
            pages=settings.max_crawl_pages,
            pictures=settings.max_crawl_pictures,
            bytes=settings.max_crawl_bytes,
            minutes=settings.max_crawl_minutes,
        ),
    )


@bp.get("/v1/recipes")
@bp.output(RecipesOut)
@bp.doc(summary="List the site recipes that a crawl can use", operation_id="list_recipes")
def get_recipes() -> Answer:
    return RecipesOut(data=list_recipes())

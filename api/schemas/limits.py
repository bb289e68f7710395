"""Models of what this service accepts."""

from __future__ import annotations

from pydantic import Field

from db.views.job import Output


class CrawlMaximumsOut(Output):
    pages: int
    pictures: int
    bytes: int
    minutes: int


class LimitsOut(Output):
    """The largest requests that this service accepts."""

    picture_bytes: int
    request_bytes: int
    request_files: int = Field(description="Pictures in one request, as files or as `items`.")
    archive_bytes: int
    manifest_bytes: int
    source_items: int = Field(description="Members of an archive, or rows of a manifest.")
    formats: list[str] = Field(description="Formats of pictures that can be classified.")
    crawl: CrawlMaximumsOut


class RecipeOut(Output):
    name: str
    hosts: list[str] = Field(
        description="Hosts whose pages it reads. `*.` stands for any subdomain. Empty: the shops of one engine."
    )
    searches: bool = Field(description="Whether it can search for the `query` of a crawl.")


class RecipesOut(Output):
    data: list[RecipeOut]

"""The part of the client that searches for pictures: those that look alike, and the same one elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from lookbook.answers import Item
from lookbook.jobs import Job
from lookbook.multipart import MultipartBody
from lookbook.options import Rectangle, form_fields, json_members, prefer_header
from lookbook.reading import read
from lookbook.search_answers import ItemDuplicate, LookAlikes, SearchResult
from lookbook.transport import Body, Transport, json_object
from lookbook.uploads import BytesBody, json_body

Jobs = Iterable["Job | str"] | str | None
"""Jobs to look in, or "all" for every job that the key may see."""


class SearchRequests:
    """The methods of `Client` for searches."""

    _transport: Transport

    def similar(self, item: Item | str, *, jobs: Jobs = None, limit: int = 20) -> LookAlikes:
        """Return the items that look like an item, in its job or in `jobs`.

        Other pictures of the same product come first. The picture itself and its duplicates are left out.

        Raises:
            ProblemError: `no_vector`, the model of the item has no embedding output, or its job left vectors out.
        """
        query = {"jobs": _jobs(jobs), "limit": limit}
        return read(LookAlikes, self._transport.request_object("GET", f"{item_path(item)}/similar", query=query))

    def search(
        self,
        picture: str | os.PathLike[str] | bytes,
        *,
        jobs: Jobs = "all",
        limit: int = 20,
        model: str | None = None,
        crop: Rectangle | None = None,
        keep: bool = False,
        timeout: float = 30.0,
    ) -> SearchResult:
        """Return the items that look like a picture: a path, the bytes of a file, or an HTTP(S) URL.

        The service removes the picture after the answer, unless `keep` is true. `model` says whose vectors are
        compared. The service waits for up to `timeout` seconds (at most 30) until the picture is classified.

        Raises:
            ProblemError: the picture cannot be classified, or `search_late`; `code` says why.
        """
        options: dict[str, Any] = {"jobs": _jobs(jobs), "limit": limit, "model": model, "crop": crop}
        if keep:
            options["keep"] = True
        body: Body
        query: Mapping[str, str] = {}
        if isinstance(picture, bytes):
            body, query = BytesBody(picture, "application/octet-stream"), form_fields(options)
        elif is_url(picture):
            body = json_body({"url": picture, **json_members(options)})
        else:
            body = MultipartBody(form_fields(options), "image", [picture])
        # Repeating it searches again, and creates nothing that stays unless the picture is kept.
        response = self._transport.request(
            "POST", "/v1/search", query=query, body=body, headers=prefer_header(timeout), repeatable=not keep
        )
        return read(SearchResult, json_object(response))

    def duplicates(self, item: Item | str, *, limit: int = 50) -> list[ItemDuplicate]:
        """Return the items of earlier jobs that show the picture of an item, newest first."""
        answer = self._transport.request_object("GET", f"{item_path(item)}/duplicates", query={"limit": limit})
        return [read(ItemDuplicate, row) for row in answer["data"]]


def _jobs(jobs: Jobs) -> str | None:
    if jobs is None or isinstance(jobs, str):
        return jobs
    return ",".join(job if isinstance(job, str) else job.id for job in jobs)


def is_url(picture: str | os.PathLike[str]) -> bool:
    return isinstance(picture, str) and picture.lower().startswith(("http://", "https://"))


def item_path(item: Item | str) -> str:
    return f"/v1/items/{quote(item if isinstance(item, str) else item.id, safe='')}"

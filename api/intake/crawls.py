"""Reads a submitted crawl and checks what can be checked without a request to the shop."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import yaml

from api.answers.problems import Problem
from api.door.access import require_job
from api.schemas.crawls import CrawlIn, CrawlLimitsIn, PreviewIn
from api.schemas.limits import RecipeOut
from api.services import current_services
from core.fetching import Fetcher
from core.fetching.urls import parse_url
from core.item_errors import ItemError
from core.settings import PROJECT
from db.crawls.requests import CrawlLimits, CrawlRequest
from db.tables import JobSource

_RECIPES = PROJECT / "recipes" / "sites"
_RECIPE_NAME = re.compile(r"[A-Za-z0-9_-]+")


def read_preview_request(body: PreviewIn) -> dict[str, str]:
    """Return the request for a preview.

    Raises:
        Problem: 422, a field is not valid.
    """
    if body.recipe is not None:
        _check_recipe(body.recipe, "recipe")
    (url,) = _checked_urls((body.url,), "url")
    optional = {"recipe": body.recipe, "query": body.query}
    return {"url": url, **{name: value for name, value in optional.items() if value is not None}}


def read_crawl(body: CrawlIn) -> CrawlRequest:
    """Return the crawl that a request asks for, within the limits of this server.

    Raises:
        Problem: 404, the crawl in `since` does not exist; 422, a field is not valid.
    """
    if body.since is None:
        crawl = CrawlRequest(tuple(body.start_urls), _limits(body.limits), body.recipe, body.query)
    else:
        crawl = _repeated_crawl(body, body.since)
    if not crawl.start_urls:
        raise _crawl_problem("start_urls", "expected at least one URL, got none")
    if crawl.recipe is not None:
        _check_recipe(crawl.recipe)
    return replace(crawl, start_urls=tuple(_checked_urls(crawl.start_urls)))


@cache
def list_recipes() -> list[RecipeOut]:
    """Return the site recipes, by name. They change only with a new release, and a crawl validates the one it uses."""
    recipes = []
    for path in sorted(_RECIPES.glob("*.yaml")):
        data = yaml.safe_load(path.read_text("utf-8"))
        hosts = data["match"].get("hosts", [])
        recipes.append(RecipeOut(name=path.stem, hosts=hosts, searches="query" in data["list"]))
    return recipes


def _repeated_crawl(body: CrawlIn, job_id: str) -> CrawlRequest:
    """Return the crawl of an earlier job, with the options of `body` in place of its own."""
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        if job.source != JobSource.CRAWL or job.crawl is None:
            raise _crawl_problem("since", f"expected a crawl, but {job.id} is not one")
        if not job.finished:
            raise _crawl_problem("since", f"expected a finished crawl, but {job.id} is {job.status}")
        earlier = CrawlRequest.of(job.crawl)
    return CrawlRequest(
        tuple(body.start_urls) or earlier.start_urls,
        _limits(body.limits) if "limits" in body.model_fields_set else earlier.limits,
        body.recipe or earlier.recipe,
        body.query or earlier.query,
        job.id,
    )


def _limits(requested: CrawlLimitsIn) -> CrawlLimits:
    settings = current_services().settings
    maximums = {
        "pages": settings.max_crawl_pages,
        "pictures": settings.max_crawl_pictures,
        "bytes": settings.max_crawl_bytes,
        "minutes": settings.max_crawl_minutes,
    }
    for name, maximum in maximums.items():
        value = getattr(requested, name)
        if name in requested.model_fields_set and value > maximum:
            raise _crawl_problem(f"limits/{name}", f"expected at most {maximum}, got {value}")
    limits = {name: min(getattr(requested, name), maximum) for name, maximum in maximums.items()}
    return CrawlLimits(**limits, depth=requested.depth, hosts=tuple(requested.hosts))


def _check_recipe(name: str, field: str = "crawl/recipe") -> None:
    if not _RECIPE_NAME.fullmatch(name) or not (_RECIPES / f"{name}.yaml").is_file():
        recipes = ", ".join(sorted(path.stem for path in _RECIPES.glob("*.yaml"))) or "none"
        raise _problem(field, f"expected one of {recipes}; got {name!r}")


def _checked_urls(urls: tuple[str, ...], field: str = "crawl/start_urls") -> list[str]:
    checked = []
    with Fetcher(allow=current_services().settings.fetch_allow) as fetcher:
        for number, url in enumerate(urls):
            try:
                target = parse_url(url)
                fetcher.check_without_lookup(target)
            except ItemError as error:
                pointer = field if len(urls) == 1 and "/" not in field else f"{field}/{number}"
                raise _problem(pointer, error.detail, error.code) from error
            checked.append(str(target))
    return checked


def _crawl_problem(field: str, detail: str, code: str = "invalid_request") -> Problem:
    return _problem(f"crawl/{field}", detail, code)


def _problem(field: str, detail: str, code: str = "invalid_request") -> Problem:
    return Problem(422, code, f"{field}: {detail}", errors=[(f"/{field}", detail)])

"""What a submitted crawl asks for, as far as it can be judged at once."""

from __future__ import annotations

import re
from dataclasses import replace

from api.answers.problems import Problem
from api.door.access import require_job
from api.schemas.crawls import CrawlIn, CrawlLimitsIn
from api.services import current_services
from core.errors import ItemError
from core.fetching import Fetcher
from core.fetching.urls import parse_url
from core.settings import PROJECT
from db.crawls.requests import CrawlLimits, CrawlRequest
from db.tables import JobSource

_RECIPES = PROJECT / "recipes" / "sites"
_RECIPE_NAME = re.compile(r"[A-Za-z0-9_-]+")


def read_crawl(given: CrawlIn) -> CrawlRequest:
    """What a crawl is to do, within what this server allows.

    Raises:
        Problem: 404, the crawl to be repeated is not there; 422, something of it cannot be used.
    """
    wanted = _repeated(given) if given.since is not None else None
    if wanted is None:
        wanted = CrawlRequest(tuple(given.start_urls), _limits(given.limits), given.recipe, given.query)
    if not wanted.start_urls:
        raise _refused("start_urls", "expected at least one URL, got none")
    if wanted.recipe is not None:
        _check_recipe(wanted.recipe)
    return replace(wanted, start_urls=tuple(_checked_urls(wanted.start_urls)))


def _repeated(given: CrawlIn) -> CrawlRequest:
    with current_services().database.reading() as session:
        job = require_job(session, given.since or "")
        if job.source != JobSource.CRAWL or job.crawl is None:
            raise _refused("since", f"expected a crawl, {job.id} is not one")
        if not job.terminal:
            raise _refused("since", f"expected a crawl that is over, {job.id} is {job.status}")
        before = CrawlRequest.of(job.crawl)
    return CrawlRequest(
        tuple(given.start_urls) or before.start_urls,
        _limits(given.limits) if "limits" in given.model_fields_set else before.limits,
        given.recipe or before.recipe,
        given.query or before.query,
        job.id,
    )


def _limits(given: CrawlLimitsIn) -> CrawlLimits:
    settings = current_services().settings
    most = {
        "pages": settings.max_crawl_pages,
        "pictures": settings.max_crawl_pictures,
        "bytes": settings.max_crawl_bytes,
        "minutes": settings.max_crawl_minutes,
    }
    for name, ceiling in most.items():
        asked = getattr(given, name)
        if name in given.model_fields_set and asked > ceiling:
            raise _refused(f"limits/{name}", f"expected at most {ceiling}, got {asked}")
    within = {name: min(getattr(given, name), ceiling) for name, ceiling in most.items()}
    return CrawlLimits(**within, depth=given.depth, hosts=tuple(given.hosts))


def _check_recipe(name: str) -> None:
    if not _RECIPE_NAME.fullmatch(name) or not (_RECIPES / f"{name}.yaml").is_file():
        there = ", ".join(sorted(path.stem for path in _RECIPES.glob("*.yaml"))) or "none"
        raise _refused("recipe", f"expected one of {there}; got {name!r}")


def _checked_urls(urls: tuple[str, ...]) -> list[str]:
    checked = []
    with Fetcher(allow=current_services().settings.fetch_allow) as fetcher:
        for number, url in enumerate(urls):
            try:
                target = parse_url(url)
                fetcher.check_without_lookup(target)
            except ItemError as error:
                raise _refused(f"start_urls/{number}", error.detail, error.code) from error
            checked.append(str(target))
    return checked


def _refused(place: str, detail: str, code: str = "invalid_request") -> Problem:
    return Problem(422, code, f"crawl/{place}: {detail}", errors=[(f"/crawl/{place}", detail)])

"""Searches for look-alikes: of an item, and of a picture that the request brings. A worker makes them."""

from __future__ import annotations

from datetime import timedelta

from apiflask import APIBlueprint

from api.answers.present import ItemPresenter
from api.answers.problems import Problem, item_error_problem
from api.answers.spec import CREATING_RESPONSES, PREFER_PARAMETER, SEARCH_BODY, SEARCH_FILE_BODY
from api.connections.turns import lend_turn
from api.door.access import caller, require_item, require_job
from api.intake.single_pictures import read_picture
from api.intake.submission import expiry_time, refuse_without_quota, submit, wait_preference
from api.intake.uploads import expect_form
from api.schemas.common import Answer
from api.schemas.items import ItemOut
from api.schemas.searches import ALL, LookAlikeOut, LookAlikesOut, SearchIn, SearchOptions, SearchOut, SimilarQuery
from api.services import current_services
from broker.dispatch import run_task_soon
from broker.searches import SEARCH_SECONDS
from core.clock import utc_now
from core.messages import PURGE
from core.searches import Question, SearchAnswer
from core.types import Scope
from db.steps import lifecycle
from db.steps.submitting import NewJob
from db.tables import Item, ItemStatus, Job, JobSource, ModelVersion, Priority
from db.views import items, lookalikes

DEFAULT_WAIT_SECONDS = 10
UNKEPT_LIFE = timedelta(minutes=5)
"""When a picture is removed whose request ended before it could remove it."""

bp = APIBlueprint("searches", __name__, tag="Searches")

_SEARCHES = (
    "The picture is classified like a single one, ahead of all bulk work, because its vector comes from the model. "
    "Unless `keep` is true, it is removed after the answer. Needs the scopes `submit` and `read`."
)
_PROBLEMS = {
    404: "The caller may see no such item or job",
    409: "The picture has no vector, so nothing can be compared",
    503: "No worker has answered in time, or the index of vectors is being built",
}
_RESPONSES = {
    **CREATING_RESPONSES,
    **_PROBLEMS,
    410: "A job of the request has expired",
    415: "The body is not a picture",
}


@bp.get("/v1/items/<item_id>/similar")
@bp.input(SimilarQuery, location="query")
@bp.output(LookAlikesOut)
@bp.doc(
    summary="List items that look like an item",
    description="Other pictures of the same product come first, then the most similar ones. The picture itself and its "
    "duplicates are left out; `/duplicates` lists where it was seen before.",
    operation_id="list_similar_items",
    responses=_PROBLEMS,
)
def list_similar(item_id: str, query_data: SimilarQuery) -> Answer:
    with current_services().database.reading() as session:
        item = require_item(session, item_id)
        version = item.job.model_version
        _check_vector(item)
        job_ids = [item.job_id] if query_data.jobs is None else _visible_jobs(query_data.jobs)
    answer = _ask(item_id, job_ids, query_data.limit, same_picture=False)
    return LookAlikesOut(data=_look_alikes(answer), model=version.ref, searched=answer.searched, exact=answer.exact)


@bp.post("/v1/search")
@bp.output(SearchOut, status_code=200, description="The items that look like the picture")
@bp.doc(
    summary="Search with a picture by its URL or as text",
    description=f"{_SEARCHES} The bodies of `POST /v1/search/uploads` may be sent here as well.",
    operation_id="search",
    extensions={"requestBody": SEARCH_BODY, "x-parameters": [PREFER_PARAMETER]},
    responses=_RESPONSES,
)
def search() -> Answer:
    return _search()


@bp.post("/v1/search/uploads")
@bp.output(SearchOut, status_code=200, description="The items that look like the picture")
@bp.doc(
    summary="Search with a picture from a file",
    description=f"{_SEARCHES} The file is the field `image` of a form, or the body itself; the options are then in the "
    "query.",
    operation_id="search_upload",
    extensions={"requestBody": SEARCH_FILE_BODY, "x-parameters": [PREFER_PARAMETER]},
    responses=_RESPONSES,
)
def search_upload() -> Answer:
    expect_form("image/", "application/octet-stream")
    return _search()


def _search() -> Answer:
    if not caller().may(Scope.READ):
        raise Problem(403, "insufficient_scope", "This request needs a key with the scopes `submit` and `read`.")
    wait = wait_preference(DEFAULT_WAIT_SECONDS)
    refuse_without_quota()
    options, new_item = read_picture(SearchIn, SearchOptions)
    job_ids = _visible_jobs(options.jobs)
    version = current_services().versions.resolve(options.model)
    if not version.has_embedding:
        raise _no_embedding(version)
    new = NewJob(
        name=new_item.source_name,
        source=JobSource.CLASSIFICATION,
        model_version=version,
        priority=Priority.INTERACTIVE,
        expires_at=expiry_time() if options.keep else utc_now() + UNKEPT_LIFE,
    )
    job = submit(new, [new_item], wait.seconds)
    try:
        asked = _read_asked(job)
        answer = _ask(asked.id, job_ids, options.limit, same_picture=True)
    finally:
        if not options.keep:
            _remove(job.id)
    body = SearchOut(
        data=_look_alikes(answer), model=version.ref, searched=answer.searched, exact=answer.exact, asked=asked
    )
    return body, 200, wait.headers


def _read_asked(job: Job) -> ItemOut:
    """Return the classified picture of a search.

    Raises:
        Problem: it cannot be classified, or is not classified yet.
    """
    item = items.read_first_of_job(current_services().database, job.id)
    if item is None:
        raise Problem(410, "gone", "The picture was deleted before it was classified.")
    if item.status == ItemStatus.FAILED:
        raise item_error_problem(item.error_code or "", item.error_detail or "")
    if item.status != ItemStatus.SUCCEEDED:
        detail = "No worker has classified the picture in time. Try again later, or wait longer with `Prefer: wait=N`."
        raise Problem(503, "search_late", detail, headers={"Retry-After": "2"})
    return ItemPresenter(job).item_out(item)


def _remove(job_id: str) -> None:
    """Remove the picture of a search. If it is not classified yet, it expires soon afterwards."""
    services = current_services()
    with services.database.writing() as session:
        job = lifecycle.lock_job(session, job_id)
        if job is None or not job.finished:
            return
        lifecycle.mark_job_deleted(job, utc_now())
    run_task_soon(services.broker, PURGE)


def _check_vector(item: Item) -> None:
    """Check that an item has a vector, as far as its job and its model tell.

    Raises:
        Problem: 409, it has none.
    """
    if item.status != ItemStatus.SUCCEEDED:
        raise Problem(409, "no_vector", f"Only succeeded items have a vector. This item is {item.status}.")
    if not item.job.model_version.has_embedding:
        raise _no_embedding(item.job.model_version)


def _no_embedding(version: ModelVersion) -> Problem:
    detail = (
        f"The model {version.ref} has no embedding output, so its pictures have no vectors to compare. Classify them "
        "with a version that has one."
    )
    return Problem(409, "no_vector", detail)


def _visible_jobs(jobs: str) -> list[str] | None:
    """Return the jobs to look in, or None for all that the caller may see.

    Raises:
        Problem: 404, the caller may see no such job.
    """
    if jobs == ALL:
        # A visitor sees one job, which no condition on owners finds.
        return [str(caller().shared_job)] if caller().is_visitor else None
    with current_services().database.reading() as session:
        return [require_job(session, job_id).id for job_id in dict.fromkeys(jobs.split(","))]


def _ask(item_id: str, job_ids: list[str] | None, limit: int, *, same_picture: bool) -> SearchAnswer:
    """Have a worker search.

    Raises:
        Problem: nothing was searched.
        BrokerUnavailable: Redis does not answer.
    """
    inherited = caller().inherited_owners
    question = Question(
        item_id=item_id,
        limit=limit,
        job_ids=job_ids,
        same_picture=same_picture,
        owner=caller().owner,
        is_admin=caller().may(Scope.ADMIN),
        inherited_owners=None if inherited is None else sorted(inherited),
    )
    with lend_turn():
        sent = current_services().broker.searches.ask(question.to_json())
    if sent is None:
        detail = f"No worker has answered the search within {SEARCH_SECONDS:g} seconds. Try again later."
        raise Problem(503, "search_late", detail, headers={"Retry-After": "2"})
    answer = SearchAnswer.from_json(sent)
    if answer.problem == "no_vector":
        detail = "No vector was stored for this picture, because vectors were turned off when it was classified."
        raise Problem(409, "no_vector", detail)
    if answer.problem is not None:
        detail = f"{answer.detail[:1].upper()}{answer.detail[1:]}."
        raise Problem(503, answer.problem, detail, headers={"Retry-After": "10"})
    return answer


def _look_alikes(answer: SearchAnswer) -> list[LookAlikeOut]:
    """Return the items of an answer that are still there and that the caller may see."""
    shown: list[LookAlikeOut] = []
    presenters: dict[str, ItemPresenter] = {}
    with current_services().database.reading() as session:
        rows = lookalikes.read_items(session, [found.item_id for found in answer.found], utc_now())
        for found in answer.found:
            item = rows.get(found.item_id)
            # The worker has checked it as well. Here the answer does not depend on what came through Redis.
            if item is None or not caller().sees(item.job.key_id, item.job_id):
                continue
            presenter = presenters.get(item.job_id) or presenters.setdefault(item.job_id, ItemPresenter(item.job))
            shown.append(
                LookAlikeOut(similarity=found.similarity, relation=found.relation, item=presenter.item_out(item))
            )
    return shown

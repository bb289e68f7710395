"""Model versions, their labels and their promotion."""

from __future__ import annotations

from apiflask import APIBlueprint

from api.answers.present import labels_and_groups_out, model_version_detail_out, model_version_out
from api.answers.problems import not_found_problem
from api.answers.spec import PROMOTION_RESPONSES
from api.door.access import caller, check_visitor_model, require_version
from api.schemas.common import Answer
from api.schemas.models import (
    ConfusionOut,
    ConfusionsOut,
    LabelsOut,
    LabelsQuery,
    LoadFailureOut,
    ModelVersionDetailOut,
    ModelVersionsOut,
    PromotionIn,
    PromotionOut,
)
from api.services import current_services
from core.clock import utc_now
from core.errors import ModelUnknown
from core.messages import Queue
from db import model_versions
from db.views.confusion import count_confusions

bp = APIBlueprint("models", __name__, tag="Models")


@bp.get("/v1/models")
@bp.output(ModelVersionsOut)
@bp.doc(summary="List model versions", operation_id="list_models")
def list_models() -> Answer:
    with current_services().database.reading() as session:
        aliases = model_versions.list_aliases(session)
        rows = model_versions.list_all(session)
        return ModelVersionsOut(data=[model_version_out(row, aliases) for row in rows], next_cursor=None)


@bp.get("/v1/models/<name>/<version>")
@bp.output(ModelVersionDetailOut)
@bp.doc(summary="Get a model version with its labels, groups, metrics and card", operation_id="get_model")
def get_model(name: str, version: str) -> Answer:
    with current_services().database.reading() as session:
        try:
            row = model_versions.resolve(session, f"{name}@{version}")
        except ModelUnknown as error:
            raise not_found_problem("model", f"{name}/{version}") from error
        return model_version_detail_out(row, model_versions.list_aliases(session))


@bp.get("/v1/models/<name>/<version>/confusion")
@bp.output(ConfusionsOut)
@bp.doc(
    summary="Count which label a model version predicted for which",
    description="According to the reviews of the jobs that you may see. Most frequent pairs come first.",
    operation_id="get_confusion",
)
def get_confusion(name: str, version: str) -> Answer:
    with current_services().database.reading() as session:
        row = require_version(session, name, version)
        counted = count_confusions(session, row, caller(), utc_now())
        return ConfusionsOut(data=[ConfusionOut.model_validate(pair, from_attributes=True) for pair in counted])


@bp.post("/v1/models/<name>/promote")
@bp.input(PromotionIn)
@bp.output(PromotionOut)
@bp.doc(
    summary="Make a model version `production`",
    description="202 means that workers have not loaded the version yet: repeat the request. `failures` says why "
    "some of them could not load it. 200 means that all workers have loaded it and that new jobs use it.",
    operation_id="promote_model",
    responses=PROMOTION_RESPONSES,
)
def promote_model(name: str, json_data: PromotionIn) -> Answer:
    live_workers = [
        worker for worker in current_services().broker.list_live_workers() if Queue.INTERACTIVE.value in worker.queues
    ]
    with current_services().database.writing() as session:
        row = model_versions.resolve(session, f"{name}@{json_data.version}")
        waiting = [worker for worker in live_workers if row.ref not in worker.models]
        if waiting:
            model_versions.make_candidate(session, row)
        else:
            model_versions.promote(session, row)
        failures = [
            LoadFailureOut(worker=worker.worker, reason=worker.not_loaded[row.ref])
            for worker in waiting
            if row.ref in worker.not_loaded
        ]
    body = PromotionOut(
        promoted=not waiting,
        workers=len(live_workers),
        waiting_for=[worker.worker for worker in waiting],
        failures=failures,
    )
    return body, 202 if waiting else 200, {"Retry-After": "1"} if waiting else {}


@bp.get("/v1/labels")
@bp.input(LabelsQuery, location="query")
@bp.output(LabelsOut)
@bp.doc(summary="List the labels and groups of a model", operation_id="list_labels")
def list_labels(query_data: LabelsQuery) -> Answer:
    with current_services().database.reading() as session:
        row = model_versions.resolve(session, query_data.model)
        check_visitor_model(session, row)
        labels, groups = labels_and_groups_out(row)
        return LabelsOut(model=row.ref, labels=labels, groups=groups)

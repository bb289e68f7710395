"""Model versions and their labels."""

from __future__ import annotations

from apiflask import APIBlueprint

from api.present import labels_and_groups_out, model_version_detail_out, model_version_out
from api.problems import unknown
from api.schemas import Answer, LabelsOut, LabelsQuery, ModelVersionDetailOut, ModelVersionsOut
from api.services import services
from core.errors import ModelUnknown
from db import model_versions

bp = APIBlueprint("models", __name__, tag="Models")


@bp.get("/v1/models")
@bp.output(ModelVersionsOut)
@bp.doc(summary="Model versions", operation_id="list_models")
def list_models() -> Answer:
    with services().database.reading() as session:
        aliases = model_versions.aliases(session)
        rows = model_versions.list_all(session)
        return ModelVersionsOut(data=[model_version_out(row, aliases) for row in rows], next_cursor=None)


@bp.get("/v1/models/<name>/<version>")
@bp.output(ModelVersionDetailOut)
@bp.doc(summary="One model version: labels, groups, metrics, card", operation_id="get_model")
def get_model(name: str, version: str) -> Answer:
    with services().database.reading() as session:
        try:
            row = model_versions.resolve(session, f"{name}@{version}")
        except ModelUnknown as error:
            raise unknown("model", f"{name}/{version}") from error
        return model_version_detail_out(row, model_versions.aliases(session))


@bp.get("/v1/labels")
@bp.input(LabelsQuery, location="query")
@bp.output(LabelsOut)
@bp.doc(summary="Labels and groups of a model", operation_id="list_labels")
def list_labels(query_data: LabelsQuery) -> Answer:
    with services().database.reading() as session:
        row = model_versions.resolve(session, query_data.model)
        labels, groups = labels_and_groups_out(row)
        return LabelsOut(model=row.ref, labels=labels, groups=groups)

"""The owner's own labels and groups, which reviews may give in addition to those of the models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiflask import APIBlueprint
from sqlalchemy.orm import Session

from api.answers.problems import invalid_field_problem
from api.door.access import caller
from api.schemas.common import Answer
from api.schemas.models import GroupOut, LabelOut, NamesOut
from api.schemas.teaching import OwnTaxonomyIn, OwnTaxonomyOut
from api.services import current_services
from core.clock import utc_now
from db import model_versions
from db.steps import own_taxonomies
from db.tables import OwnTaxonomy
from db.views.labels import read_own

bp = APIBlueprint("taxonomies", __name__, tag="Teaching")


@bp.get("/v1/taxonomy")
@bp.output(OwnTaxonomyOut)
@bp.doc(summary="Get your own labels and groups", operation_id="get_taxonomy")
def get_taxonomy() -> Answer:
    with current_services().database.reading() as session:
        return _out(read_own(session, caller().owner))


@bp.put("/v1/taxonomy")
@bp.input(OwnTaxonomyIn)
@bp.output(OwnTaxonomyOut)
@bp.doc(
    summary="Replace your own labels and groups",
    description="Reviews of your jobs may give these labels in addition to those of the job's model. A lesson then "
    "teaches them.",
    operation_id="put_taxonomy",
    responses={409: "A label is missing that reviews give"},
)
def put_taxonomy(json_data: OwnTaxonomyIn) -> Answer:
    with current_services().database.writing() as session:
        own = {group.id: {"id": group.id, "name": _names(group.name)} for group in json_data.groups}
        known = own | {group_id: row for group_id, row in _groups_of_models(session).items() if group_id not in own}
        groups = dict(own)
        labels = []
        for number, label in enumerate(json_data.labels):
            if label.group not in known:
                detail = f"expected one of {', '.join(sorted(known)) or 'no group at all yet'}; got {label.group!r}"
                raise invalid_field_problem(f"labels/{number}/group", detail, "unknown_group")
            # The group of a model is stored as well, because a later version may lack it.
            groups.setdefault(label.group, known[label.group])
            labels.append({"id": label.id, "group": label.group, "name": _names(label.name)})
        return _out(own_taxonomies.replace(session, caller().owner, list(groups.values()), labels, utc_now()))


def _groups_of_models(session: Session) -> dict[str, dict[str, Any]]:
    rows = [group for version in model_versions.list_all(session) for group in version.taxonomy["groups"]]
    return {row["id"]: {"id": row["id"], "name": row["name"]} for row in reversed(rows)}


def _names(given: Mapping[str, str]) -> dict[str, str]:
    first = next(iter(given.values()))
    english = given.get("en", first)
    return {**given, "en": english, "ko": given.get("ko", first)}


def _out(row: OwnTaxonomy | None) -> OwnTaxonomyOut:
    if row is None:
        return OwnTaxonomyOut(groups=[], labels=[], updated_at=None)
    return OwnTaxonomyOut(
        groups=[GroupOut(id=group["id"], **_shown(group)) for group in row.groups],
        labels=[LabelOut(id=label["id"], group=label["group"], **_shown(label)) for label in row.labels],
        updated_at=row.updated_at,
    )


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    names = row["name"]
    return {"name": names["en"], "names": NamesOut(en=names["en"], ko=names["ko"])}

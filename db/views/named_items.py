"""Find the items of a job by the names that other programs use for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import SQLColumnExpression, select
from sqlalchemy.orm import Session

from db.bulk import in_values
from db.tables import Item, ItemStatus, Prediction


@dataclass(frozen=True, slots=True)
class NamedItem:
    """An item that a name means, and the label that its model predicted."""

    id: str
    is_classified: bool
    predicted: str | None


def find_items(session: Session, job_id: str, names: Iterable[Sequence[str]]) -> list[list[NamedItem]]:
    """Return, for each list of names, the items of a job that it means. More than one: the name is not unique.

    A name is compared with the ids of items first, then with their custom ids, then with the names of their files. The
    first comparison that finds something decides.
    """
    wanted = list(names)
    found: list[list[NamedItem]] = [[] for _ in wanted]
    for column in (Item.id, Item.custom_id, Item.source_name):
        open_numbers = [number for number, items in enumerate(found) if not items]
        asked = {name for number in open_numbers for name in wanted[number]}
        by_name = _find_by(session, job_id, column, asked)
        for number in open_numbers:
            found[number] = next((by_name[name] for name in wanted[number] if name in by_name), [])
    return found


def _find_by(
    session: Session, job_id: str, column: SQLColumnExpression[Any], asked: set[str]
) -> dict[str, list[NamedItem]]:
    if not asked:
        return {}
    query = (
        select(column, Item.id, Item.status, Prediction.label)
        .outerjoin(Prediction, Prediction.id == Item.prediction_id)
        .where(Item.job_id == job_id, in_values(session, column, sorted(asked)))
        .order_by(Item.position)
    )
    by_name: dict[str, list[NamedItem]] = {}
    for name, item_id, status, predicted in session.execute(query):
        by_name.setdefault(str(name), []).append(NamedItem(item_id, status == ItemStatus.SUCCEEDED, predicted))
    return by_name

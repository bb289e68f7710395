"""Searches for look-alikes: which items are found, in which order, and for whom, with and without the index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, update

from broker.client import Broker
from core.searches import Question, Relation, SearchAnswer
from core.settings import Settings
from core.vectors import decode
from db.database import Database
from db.steps import purging
from db.tables import Item, ModelVersion, Vector
from db.views import lookalikes
from tests.integration.builders import delete_job
from tests.integration.catalogs import a_catalog, angle, job_of
from worker.searching import searcher as searching
from worker.searching.keeper import IndexKeeper
from worker.searching.searcher import Searcher

INDEXED, COMPARED = 0, 5000


@pytest.fixture(params=[COMPARED, INDEXED], ids=["compared", "indexed"])
def searcher(
    request: pytest.FixtureRequest, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Searcher]:
    """A searcher that compares all vectors, and one that asks its index."""
    monkeypatch.setattr(searching, "COMPARED_ITEMS", request.param)
    if request.param == INDEXED:
        monkeypatch.setattr(searching, "MAX_COMPARED", 0)
    monkeypatch.setattr(searching, "BUILDING_SECONDS", 60.0)
    made = a_searcher(database, settings)
    yield made
    made.close()


def a_searcher(database: Database, settings: Settings) -> Searcher:
    # No Redis is needed: the tests call `search`, and not `answer`.
    return Searcher(database, Broker.connect(settings.with_changes(redis_url="redis://127.0.0.1:1")), settings.home)


def ask(
    item_id: str,
    *,
    limit: int = 10,
    jobs: list[str] | None = None,
    owner: str | None = None,
    admin: bool = False,
    same: bool = False,
) -> Question:
    return Question(item_id, limit, jobs, same, owner, admin, [])


def names(database: Database, answer: SearchAnswer) -> list[str]:
    with database.reading() as session:
        rows = session.execute(select(Item.id, Item.source_name))
        by_id = {row.id: row.source_name.removesuffix(".jpg") for row in rows}
    return [by_id[found.item_id] for found in answer.found]


def test_the_most_similar_come_first_and_not_the_picture_itself(database: Database, searcher: Searcher) -> None:
    items = a_catalog(database, {"a": angle(0), "far": angle(80), "near": angle(5), "middle": angle(30)})
    answer = searcher.search(ask(items["a"]))
    assert names(database, answer) == ["near", "middle", "far"]
    expected = np.cos(np.radians([5, 30, 80]))
    assert [found.similarity for found in answer.found] == pytest.approx(expected, abs=2e-3)
    assert names(database, searcher.search(ask(items["a"], limit=1))) == ["near"]


def test_pictures_of_other_owners_are_never_found(database: Database, searcher: Searcher) -> None:
    theirs = a_catalog(database, {f"their {n}": angle(n / 100) for n in range(100)}, owner="key_theirs")
    mine = a_catalog(database, {"mine": angle(0), "also mine": angle(60)}, owner="key_mine")
    assert names(database, searcher.search(ask(mine["mine"], owner="key_mine"))) == ["also mine"]
    assert len(searcher.search(ask(theirs["their 0"], owner="key_theirs", limit=200)).found) == 99
    # An administrator sees jobs without an owner, and no owner sees those.
    nobody = a_catalog(database, {"nobody's": angle(0), "also nobody's": angle(1)})
    assert names(database, searcher.search(ask(nobody["nobody's"], admin=True))) == ["also nobody's"]
    assert names(database, searcher.search(ask(nobody["nobody's"], owner="key_mine"))) == ["mine", "also mine"]


def test_a_search_in_some_jobs_finds_only_their_items(database: Database, searcher: Searcher) -> None:
    first = a_catalog(database, {"a": angle(0), "b": angle(10)})
    second = a_catalog(database, {"c": angle(5)})
    third = a_catalog(database, {"d": angle(1)})
    jobs = [job_of(database, first["a"]), job_of(database, second["c"])]
    assert names(database, searcher.search(ask(first["a"], jobs=jobs[:1]))) == ["b"]
    assert names(database, searcher.search(ask(first["a"], jobs=jobs))) == ["c", "b"]
    assert names(database, searcher.search(ask(third["d"], jobs=jobs))) == ["a", "c", "b"]


def test_deleted_pictures_are_not_found_although_the_index_still_has_them(
    database: Database, searcher: Searcher
) -> None:
    kept = a_catalog(database, {"kept": angle(0), "also kept": angle(20)})
    deleted = a_catalog(database, {"deleted": angle(1), "kept": angle(0)})
    assert names(database, searcher.search(ask(kept["kept"]))) == ["deleted", "also kept"]
    job_id = job_of(database, deleted["deleted"])
    delete_job(database, job_id)
    assert names(database, searcher.search(ask(kept["kept"]))) == ["also kept"]
    with database.writing() as session:
        purging.remove_items(session, job_id)
    assert names(database, searcher.search(ask(kept["kept"]))) == ["also kept"]


def test_new_pictures_are_found_at_once(database: Database, searcher: Searcher) -> None:
    first = a_catalog(database, {"a": angle(0), "b": angle(40)})
    assert names(database, searcher.search(ask(first["a"]))) == ["b"]
    a_catalog(database, {"new": angle(3)})
    assert names(database, searcher.search(ask(first["a"]))) == ["new", "b"]


def test_a_picture_in_several_jobs_is_found_once_in_the_newest(database: Database, searcher: Searcher) -> None:
    first = a_catalog(database, {"a": angle(0), "twice": angle(10)})
    second = a_catalog(database, {"twice": angle(10), "a": angle(0)})
    assert [found.item_id for found in searcher.search(ask(first["a"])).found] == [second["twice"]]
    # A search with a picture also finds that picture.
    found = searcher.search(ask(first["a"], same=True)).found
    assert [row.item_id for row in found] == [second["a"], second["twice"]]


def test_duplicates_are_left_out(database: Database, searcher: Searcher) -> None:
    items = a_catalog(database, {"a": angle(0), "copy of a": angle(0.1), "b": angle(50), "copy of b": angle(50.1)})
    with database.writing() as session:
        for name in ("a", "b"):
            copy = update(Item).where(Item.id == items[f"copy of {name}"])
            session.execute(copy.values(duplicate_of=items[name]))
    assert names(database, searcher.search(ask(items["a"]))) == ["b"]
    assert names(database, searcher.search(ask(items["copy of a"]))) == ["b"]


def test_other_pictures_of_the_product_come_first(database: Database, searcher: Searcher) -> None:
    vectors = {"front": angle(0), "look-alike": angle(1), "back": angle(40), "in blue": angle(30), "plain": angle(20)}
    coat = {"product_id": "C-17"}
    products = {
        "front": coat | {"color": "Red"},
        "back": coat | {"color": "red"},
        "in blue": coat | {"color": "Blue"},
        "look-alike": {"product_id": "C-18"},
    }
    items = a_catalog(database, vectors, products=products)
    answer = searcher.search(ask(items["front"]))
    assert names(database, answer) == ["in blue", "back", "look-alike", "plain"]
    assert [found.relation for found in answer.found] == [Relation.VARIANT, Relation.SHOT, None, None]
    assert names(database, searcher.search(ask(items["front"], limit=3))) == ["in blue", "back", "look-alike"]
    # The product of another job is another one, whatever its id.
    other = a_catalog(database, {"other": angle(90)}, products={"other": coat})
    answer = searcher.search(ask(other["other"]))
    assert {found.relation for found in answer.found} == {None}


def test_vectors_of_another_model_version_are_not_compared(database: Database, searcher: Searcher) -> None:
    items = a_catalog(database, {"a": angle(0), "b": angle(10)})
    with database.writing() as session:
        model = session.scalars(select(ModelVersion)).one()
        other = ModelVersion(
            **{
                name: getattr(model, name)
                for name in ModelVersion.__mapper__.column_attrs.keys()  # noqa: SIM118 (it is no dictionary)
                if name not in {"id", "version"}
            },
            version="2",
        )
        session.add(other)
        session.flush()
        number = session.scalars(select(Vector.number).order_by(Vector.number.desc()).limit(1)).one()
        session.execute(update(Vector).where(Vector.number == number).values(model_version_id=other.id))
    with database.reading() as session:
        found = lookalikes.read_after(session, model.id, 0, 10)
    assert found is not None
    assert len(found.numbers) == 1
    assert items


def test_an_item_without_a_vector_is_told_apart(database: Database, searcher: Searcher) -> None:
    items = a_catalog(database, {"a": None, "b": angle(0)})
    assert searcher.search(ask(items["a"])).problem == "no_vector"
    assert searcher.search(ask("itm_gone")).problem == "no_vector"
    assert searcher.search(ask(items["b"])).found == []


def test_without_the_package_a_small_scope_is_compared_and_a_large_one_is_refused(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = a_catalog(database, {"a": angle(0), "b": angle(10)})
    monkeypatch.setattr("worker.searching.keeper.is_installed", lambda: False)
    monkeypatch.setattr(searching, "COMPARED_ITEMS", 0)
    made = a_searcher(database, settings)
    answer = made.search(ask(items["a"]))
    assert (names(database, answer), answer.exact) == (["b"], True)
    monkeypatch.setattr(searching, "MAX_COMPARED", 1)
    answer = made.search(ask(items["a"]))
    assert answer.problem == "index_missing"
    assert "usearch is not installed" in answer.detail
    assert "within one job" in answer.detail


def model_id(database: Database) -> int:
    with database.reading() as session:
        return session.scalars(select(ModelVersion.id)).one()


def a_keeper(database: Database, folder: Path) -> IndexKeeper:
    return IndexKeeper(database, folder, model_id(database))


def test_the_index_is_read_from_its_file_and_follows_what_happened_meanwhile(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.searching.keeper.MIN_SAVED", 1)
    gone = a_catalog(database, {f"gone {n}": angle(n) for n in range(10)})
    a_catalog(database, {f"kept {n}": angle(n + 20) for n in range(10)})
    first = a_keeper(database, tmp_path)
    first.follow()
    first.close()
    assert len(first) == 20
    with database.writing() as session:
        purging.remove_items(session, job_of(database, gone["gone 0"]))
    a_catalog(database, {"new": angle(50)})
    second = a_keeper(database, tmp_path)
    second.load()
    assert len(second) == 20
    second.follow()
    with database.reading() as session:
        stored = lookalikes.list_numbers(session, model_id(database))
    assert sorted(second.nearest(decode(np.ones(4, "<f2").tobytes()), 100).numbers.tolist()) == stored.tolist()
    assert len(stored) == 11


def test_a_vector_that_becomes_visible_late_enters_the_index(database: Database, tmp_path: Path) -> None:
    a_catalog(database, {"a": angle(0), "late": angle(10), "b": angle(20)})
    with database.writing() as session:
        numbers = session.scalars(select(Vector.number).order_by(Vector.number)).all()
        late = session.get_one(Vector, numbers[1])
        values = {"number": late.number, "prediction_id": late.prediction_id, "data": late.data}
        version = late.model_version_id
        session.delete(late)
    keeper = a_keeper(database, tmp_path)
    keeper.follow()
    assert len(keeper) == 2
    with database.writing() as session:
        session.add(Vector(**values, model_version_id=version))
    again = a_keeper(database, tmp_path)
    again.follow()
    assert len(again) == 3


@pytest.mark.parametrize("damage", ["other database", "cut off", "no marks"])
def test_a_file_of_another_database_and_a_damaged_one_are_not_used(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr("worker.searching.keeper.MIN_SAVED", 1)
    a_catalog(database, {"a": angle(0), "b": angle(10)})
    keeper = a_keeper(database, tmp_path)
    keeper.follow()
    (file,) = tmp_path.glob("*.usearch")
    marks = file.with_suffix(".npz")
    if damage == "other database":
        with np.load(marks) as read:
            stored = dict(read)
        np.savez(marks, **{**stored, "predictions": np.char.add(stored["predictions"], "x")})
    elif damage == "cut off":
        file.write_bytes(file.read_bytes()[:20])
    else:
        marks.write_text("not a file of NumPy")
    again = a_keeper(database, tmp_path)
    again.load()
    assert len(again) == 0
    again.follow()
    assert len(again) == 2

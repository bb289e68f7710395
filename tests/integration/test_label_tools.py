"""Label tools: the files that they import, and the import of the labels that people corrected in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from pycocotools.coco import COCO
from sqlalchemy import update

from api.app import LookbookApp
from api.intake import label_files
from core.settings import Settings
from db.database import Database
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob
from db.tables import Item, JobSource
from db.views import exports
from tests.integration.apps import body_of, refused, serving
from tests.integration.builders import FAILED, NOW, POLICY, a_blob, a_model, a_varied_job, record_chunk, review, scored


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with serving(settings, database) as made:
        yield made


@pytest.fixture
def job_id(database: Database, monkeypatch: pytest.MonkeyPatch) -> str:
    """A job of eight items: 0 to 5 are shirts, 6 has failed, 7 is pending. 1 is reviewed as a dress, 2 as nothing."""
    monkeypatch.setattr(exports, "ITEMS_PER_PAGE", 3)
    policy = POLICY
    with database.writing() as session:
        new = NewJob('labels "&<', JobSource.UPLOADS, a_model(session))
        new_items = [NewItem(f"../{n}.jpg", a_blob(f"label {n}")) for n in range(8)]
        job, (first, _) = submitting.create_with_chunks(session, new, new_items, policy, NOW)
        outcomes = {(a_blob(f"label {n}").sha256, ""): scored("shirt", 0.75) for n in range(4)}
        record_chunk(session, first, outcomes, policy=policy)
    with database.writing() as session:
        session.execute(update(Item).where(Item.position == 0).values(custom_id="sku-0", crop_key="1,2,3x4"))
    review(database, job.id, {1: "dress", 2: None})
    return job.id


def item_ids(client: FlaskClient, job_id: str) -> list[str]:
    return [item["id"] for item in body_of(client.get(f"/v1/jobs/{job_id}/items?limit=200"))["data"]]


def exported(client: FlaskClient, job_id: str, kind: str, query: str = "") -> Any:
    answer = client.get(f"/v1/jobs/{job_id}/export?format={kind}&{query}")
    assert (answer.status_code, answer.content_type) == (200, "application/json"), answer.text
    assert answer.headers["Content-Disposition"].endswith(f'(partial).{kind}.json"')
    return json.loads(answer.data)


def send(client: FlaskClient, job_id: str, file: Any) -> dict[str, Any]:
    answer = client.post(f"/v1/jobs/{job_id}/reviews/import", json=file)
    assert answer.status_code == 200, answer.text
    return body_of(answer)


def labels_of(client: FlaskClient, job_id: str) -> list[tuple[str | None, bool]]:
    """Return, for each classified item, its label and whether a person gave it."""
    items = body_of(client.get(f"/v1/jobs/{job_id}/items?limit=200&status=succeeded"))["data"]
    return [(item["label"] and item["label"]["id"], item["review"] is not None) for item in items]


def test_label_studio_gets_tasks_with_predictions_and_the_reviews_as_annotations(
    client: FlaskClient, job_id: str
) -> None:
    tasks, ids = exported(client, job_id, "label-studio"), item_ids(client, job_id)
    assert [task["data"]["item_id"] for task in tasks] == ids[:4]
    first = tasks[0]
    choice = {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": ["shirt"]}}
    assert first["predictions"] == [{"model_version": "test@1", "score": 0.75, "result": [choice]}]
    assert (first["data"]["custom_id"], first["data"]["name"]) == ("sku-0", "../0.jpg")
    assert urlsplit(first["data"]["image"]).path == f"/v1/items/{ids[0]}/image"
    given = [[part["value"]["choices"] for a in task.get("annotations", []) for part in a["result"]] for task in tasks]
    assert given == [[], [["dress"]], [["no_label_fits"]], []]


def test_the_labelling_configuration_has_the_names_and_labels_of_the_tasks(client: FlaskClient, job_id: str) -> None:
    answer = client.get(f"/v1/jobs/{job_id}/labelling-config")
    assert (answer.status_code, answer.content_type) == (200, "application/xml")
    view = ElementTree.fromstring(answer.text)
    (image,), (choices,) = view.iter("Image"), view.iter("Choices")
    tasks = exported(client, job_id, "label-studio")
    result = tasks[0]["predictions"][0]["result"][0]
    assert image.attrib == {"name": result["to_name"], "value": "$image"}
    assert (choices.get("name"), choices.get("toName")) == (result["from_name"], image.get("name"))
    assert [(row.get("value"), row.get("alias")) for row in choices] == [
        ("Shirt", "shirt"),
        ("Dress", "dress"),
        ("No label fits", "no_label_fits"),
    ]


def test_the_tools_of_coco_read_the_export(client: FlaskClient, job_id: str, tmp_path: Path) -> None:
    file = tmp_path / "coco.json"
    file.write_text(json.dumps(exported(client, job_id, "coco")))
    coco, ids = COCO(file), item_ids(client, job_id)
    assert [(row["name"], row["supercategory"]) for row in coco.loadCats(coco.getCatIds())] == [
        ("shirt", "tops"),
        ("dress", "tops"),
    ]
    images = coco.loadImgs(coco.getImgIds())
    assert [image["file_name"] for image in images] == [f"{item_id}.jpg" for item_id in ids[:4]]
    assert {(image["width"], image["height"]) for image in images} == {(30, 40)}
    (cropped,) = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert (cropped["bbox"], cropped["area"], cropped["score"]) == ([1, 2, 3, 4], 12, 0.75)
    (reviewed,) = coco.loadAnns(coco.getAnnIds(imgIds=[2], catIds=coco.getCatIds(catNms=["dress"])))
    assert reviewed["bbox"] == [0, 0, 30, 40]
    assert "score" not in reviewed
    assert coco.getAnnIds(imgIds=[3]) == []


def test_fiftyone_gets_labels_by_item(client: FlaskClient, job_id: str) -> None:
    file, ids = exported(client, job_id, "fiftyone"), item_ids(client, job_id)
    assert (file["classes"], list(file["labels"])) == (["shirt", "dress"], ids[:4])
    first, second, third, _ = file["labels"].values()
    assert (first["label"], first["confidence"], first["attributes"]["custom_id"]) == (0, 0.75, "sku-0")
    assert (second["label"], "confidence" in second, third) == (1, False, None)
    assert first["attributes"]["file_name"] == f"{ids[0]}.jpg"


@pytest.mark.parametrize("kind", ["label-studio", "coco", "fiftyone"])
def test_an_export_without_items_is_a_valid_file(client: FlaskClient, job_id: str, kind: str) -> None:
    file = exported(client, job_id, kind, "status=failed")
    assert {"label-studio": file, "coco": file and file.get("images"), "fiftyone": file and file.get("labels")}[
        kind
    ] in ([], {})
    assert send(client, job_id, file)["entries"] == 0


@pytest.mark.parametrize("kind", ["label-studio", "coco", "fiftyone"])
def test_importing_an_unchanged_export_changes_nothing(client: FlaskClient, database: Database, kind: str) -> None:
    job_id = a_varied_job(database)
    review(database, job_id, {0: "dress", 1: "dress", 2: None})
    before = labels_of(client, job_id)
    imported = send(client, job_id, exported(client, job_id, kind))
    assert (imported["format"], imported["changed"]) == (kind, 0)
    assert imported["entries"] == 20
    assert imported["unchanged"] == (3 if kind == "label-studio" else 2)
    assert labels_of(client, job_id) == before


def test_corrections_of_label_studio_become_reviews(client: FlaskClient, job_id: str) -> None:
    tasks = exported(client, job_id, "label-studio")
    confirmed, changed, withdrawn, skipped = tasks

    def annotation(label: str, at: str, **members: Any) -> dict[str, Any]:
        result = [{"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [label]}}]
        return {"id": 1, "result": result, "updated_at": at, **members}

    confirmed["annotations"] = [
        annotation("shirt", "2026-03-02T00:00:00Z"),
        annotation("dress", "2026-03-01T00:00:00Z"),
        annotation("dress", "2026-03-03T00:00:00Z", was_cancelled=True),
    ]
    changed["annotations"] = [annotation("no_label_fits", "2026-03-02T00:00:00Z")]
    changed["annotations"][0]["result"].append({"from_name": "quality", "value": {"choices": ["blurred"]}})
    withdrawn["annotations"] = []
    skipped["annotations"] = [annotation("dress", "2026-03-02T00:00:00Z", was_cancelled=True)]
    for number, task in enumerate(tasks):
        task |= {"id": number, "project": 7}
    imported = send(client, job_id, tasks)
    assert (imported["changed"], imported["unchanged"], imported["without_label"]) == (2, 0, 2)
    assert labels_of(client, job_id) == [("shirt", True), (None, True), (None, True), ("shirt", False)]
    again = send(client, job_id, tasks)
    assert (again["changed"], again["unchanged"]) == (0, 2)


def test_corrections_of_coco_become_reviews_also_without_the_members_of_lookbook(
    client: FlaskClient, job_id: str
) -> None:
    file = exported(client, job_id, "coco")
    file["images"] = [{name: row[name] for name in ("id", "file_name", "width", "height")} for row in file["images"]]
    dress = next(row["id"] for row in file["categories"] if row["name"] == "dress")
    file["annotations"][0]["category_id"] = dress
    imported = send(client, job_id, file)
    assert (imported["changed"], imported["unchanged"], imported["predictions"], imported["without_label"]) == (
        1,
        1,
        1,
        1,
    )
    assert labels_of(client, job_id)[0] == ("dress", True)


def test_corrections_of_fiftyone_become_reviews(client: FlaskClient, job_id: str) -> None:
    ids = item_ids(client, job_id)
    targets: list[Any] = [1, "shirt", {"label": "dress", "confidence": 0.3}, {"label": 0, "confidence": 0.75}]
    imported = send(client, job_id, {"classes": ["shirt", "dress"], "labels": dict(zip(ids[:4], targets, strict=True))})
    assert (imported["changed"], imported["predictions"]) == (3, 1)
    assert labels_of(client, job_id) == [("dress", True), ("shirt", True), ("dress", True), ("shirt", False)]


def test_items_are_found_by_id_then_custom_id_then_file_name(
    client: FlaskClient, database: Database, job_id: str
) -> None:
    with database.writing() as session:
        session.execute(update(Item).where(Item.position == 3).values(source_name="looks/3.jpg"))
        session.execute(update(Item).where(Item.position == 2).values(source_name="sku-0"))
    ids = item_ids(client, job_id)
    labels = {"sku-0": "dress", f"/data/{ids[1]}.png": "shirt", "looks/3.jpg": "dress"}
    assert send(client, job_id, {"labels": labels})["changed"] == 3
    assert labels_of(client, job_id) == [("dress", True), ("shirt", True), (None, True), ("dress", True)]
    url = f"https://elsewhere.example/v1/items/{ids[2]}/image?expires=1&signature=x"
    task = {"data": {"picture": url}, "annotations": [{"result": [{"value": {"choices": ["Shirt"]}}]}]}
    assert send(client, job_id, [task])["changed"] == 1
    assert labels_of(client, job_id)[2] == ("shirt", True)


def test_entries_that_cannot_be_used_are_counted_and_named(
    client: FlaskClient, database: Database, job_id: str
) -> None:
    with database.writing() as session:
        session.execute(update(Item).where(Item.position.in_([2, 3])).values(source_name="twice.jpg"))
    ids = item_ids(client, job_id)
    other = item_ids(client, a_varied_job(database))[0]
    labels: dict[str, Any] = {f"unknown {number}": "dress" for number in range(25)} | {
        other: "dress",
        "twice.jpg": "dress",
        ids[0]: "hat",
        ids[1]: ["dress", "shirt"],
        ids[7]: "dress",
        ids[3]: None,
    }
    imported = send(client, job_id, {"labels": labels})
    assert imported == {
        "format": "fiftyone",
        "entries": 31,
        "changed": 0,
        "unchanged": 0,
        "repeated": 0,
        "without_label": 1,
        "predictions": 0,
        "unknown_items": {"count": 26, "names": [f"unknown {number}" for number in range(20)]},
        "ambiguous_items": {"count": 1, "names": ["twice.jpg"]},
        "unknown_labels": {"count": 1, "names": ["hat"]},
        "several_labels": {"count": 1, "names": [ids[1]]},
        "unclassified": {"count": 1, "names": [ids[7]]},
    }


def test_a_better_crop_of_a_review_stays_when_its_label_is_imported_again(client: FlaskClient, job_id: str) -> None:
    item = item_ids(client, job_id)[0]
    crop = {"x": 1, "y": 2, "width": 3, "height": 4}
    client.put(f"/v1/items/{item}/review", json={"label": "dress", "crop": crop})
    assert send(client, job_id, {"labels": {item: "dress"}})["unchanged"] == 1
    assert body_of(client.get(f"/v1/items/{item}"))["review"]["crop"] == crop


HOSTILE: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "a text": (b'"x"', 422),
    "null": (b"null", 422),
    "an empty object": (b"{}", 422),
    "tasks that are none": (b"[1]", 422),
    "tasks without data": (b'[{"data": null}]', 422),
    "JSON-MIN": (b'[{"image": "https://a.example/1.jpg", "label": "dress"}]', 422),
    "deep lists": (b"[" * 200_000, 400),
    "deep objects": (b'{"labels":' * 100_000, 400),
    "half a surrogate pair": (rb'{"labels": {"a": "\ud800"}}', 400),
    "bytes that are no UTF-8": (b'{"labels": {"\xff": "dress"}}', 400),
    "a number of 5000 digits": (b'{"labels": {"a": ' + b"9" * 5000 + b"}}", 400),
    "a broken file": (b'[{"data": {"item_id"', 400),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_are_refused_in_words(client: FlaskClient, database: Database, name: str) -> None:
    body, status = HOSTILE[name]
    path = f"/v1/jobs/{a_varied_job(database)}/reviews/import"
    answer = client.post(path, data=body, content_type="application/json")
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert client.post(path, data=body, content_type="text/plain").status_code == 415


ODD_PARTS: list[Any] = [
    [{"data": {}, "annotations": "x"}],
    [{"data": {"item_id": 7, "name": ["a"], "image": "http://[::1"}, "annotations": [7, {"result": {}}]}],
    [{"data": {"name": "a\0b"}, "annotations": [{"result": [{"value": {"choices": ["dress", 7, None]}}]}]}],
    {"images": [7, {"id": [], "file_name": {}}], "annotations": [{"image_id": {}}, 7], "categories": [{"id": []}]},
    {"images": [{"id": 1, "file_name": "x" * 100_000}], "annotations": [{"image_id": 1, "category_id": 9}]},
    {"labels": {"": {"label": {}}, "a": [[]], "b": True, "c": -1, "d": 10**18, "e": {"label": 1, "attributes": 7}}},
    {"classes": {"x": 1}, "labels": {"\0": "dress", "../../etc/passwd": "dress"}},
]


@pytest.mark.parametrize("file", ODD_PARTS, ids=range(len(ODD_PARTS)))
def test_odd_parts_of_a_file_change_nothing(client: FlaskClient, job_id: str, file: Any) -> None:
    before = labels_of(client, job_id)
    assert send(client, job_id, file)["changed"] == 0
    assert labels_of(client, job_id) == before


def test_a_file_with_too_many_entries_is_refused(
    client: FlaskClient, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_files, "MAX_ENTRIES", 2)
    labels = {"labels": dict.fromkeys("abc", "dress")}
    answer = client.post(f"/v1/jobs/{job_id}/reviews/import", json=labels)
    assert "3 entries" in refused(answer, 422, "too_many_entries")["detail"]


def test_failed_items_are_not_exported_to_label_tools(client: FlaskClient, database: Database) -> None:
    with database.writing() as session:
        new = NewJob("failed", JobSource.UPLOADS, a_model(session))
        job, (message,) = submitting.create_with_chunks(session, new, [NewItem("a.jpg", a_blob("f"))], POLICY, NOW)
        record_chunk(session, message, {(a_blob("f").sha256, ""): FAILED})
    assert json.loads(client.get(f"/v1/jobs/{job.id}/export?format=label-studio").data) == []

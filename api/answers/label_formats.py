"""The files that label tools import: Label Studio's tasks, COCO, and FiftyOne's labels.

Each holds the items that have a prediction, with the label under which the item is listed and a signed URL of its
picture. The items are written while they are read, as in the other formats of exports.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, cast
from xml.etree import ElementTree

from core.pictures import is_shown_by_browsers
from db.tables import ItemStatus
from db.views.exports import Column, Rows

Row = Mapping[str, Any]
"""The values of an item by the names of their columns."""
Labels = Sequence[Mapping[str, Any]]
"""The labels of the job's taxonomy, in its order."""
LabelEncoder = Callable[[Labels, Iterable[list[Row]], Mapping[str, str]], Iterator[bytes]]
"""(labels, pages of items, metadata of the export) -> the bytes of the file."""

CHOICES, PICTURE = "label", "image"
"""The names of the two tags in the labelling configuration of Label Studio."""
NO_LABEL = "no_label_fits"
"""The choice of Label Studio for a picture that shows no label of the model."""
_SPOOLED_BYTES = 2**20
"""Annotations of COCO that stay in memory. Further ones wait in a temporary file, because COCO has all images first."""
_MEDIA_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """A file for a label tool."""

    ending: str
    encode_labels: LabelEncoder
    media_type: str = _MEDIA_TYPE

    def encode(
        self, labels: Labels, columns: Sequence[Column], pages: Iterable[Rows], metadata: Mapping[str, str]
    ) -> Iterator[bytes]:
        """Yield the bytes of the file. Items without a prediction are left out."""
        names = [column.name for column in columns]
        return self.encode_labels(labels, (_classified(names, rows) for rows in pages), metadata)


def _classified(names: Sequence[str], rows: Rows) -> list[Row]:
    """Return the items that have a prediction."""
    items: Iterable[Row] = (dict(zip(names, row, strict=True)) for row in rows)
    return [item for item in items if item["status"] == ItemStatus.SUCCEEDED.value]


def labelling_config(labels: Labels) -> bytes:
    """Return Label Studio's labelling configuration (XML) for the tasks of an export."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name=PICTURE, value=f"${PICTURE}")
    choices = ElementTree.SubElement(view, "Choices", name=CHOICES, toName=PICTURE, choice="single-radio")
    for label in labels:
        # The alias is what annotations hold. Two labels may have one name, and then only their ids differ.
        ElementTree.SubElement(choices, "Choice", value=label["name"]["en"], alias=label["id"])
    ElementTree.SubElement(choices, "Choice", value="No label fits", alias=NO_LABEL)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode").encode() + b"\n"


def _encode_label_studio(labels: Labels, pages: Iterable[list[Row]], metadata: Mapping[str, str]) -> Iterator[bytes]:
    """Yield a list of tasks. Each has the prediction, and an annotation if a person has reviewed the item."""
    yield b"["
    yield from _joined([_json(_task(item)) for item in items] for items in pages)
    yield b"]\n"


def _task(item: Row) -> dict[str, Any]:
    data = {
        PICTURE: item["picture_url"],
        "item_id": item["id"],
        "custom_id": item["custom_id"],
        "name": item["source_name"],
    }
    prediction = {
        "model_version": item["model"],
        "score": item["confidence"],
        "result": [_choice(item["predicted_label"])],
    }
    task: dict[str, Any] = {"data": data, "predictions": [prediction]}
    if item["review_rejected"] is not None:
        task["annotations"] = [{"result": [_choice(item["review_label"] or NO_LABEL)]}]
    return task


def _choice(label: str) -> dict[str, Any]:
    return {"from_name": CHOICES, "to_name": PICTURE, "type": "choices", "value": {"choices": [label]}}


def _encode_coco(labels: Labels, pages: Iterable[list[Row]], metadata: Mapping[str, str]) -> Iterator[bytes]:
    """Yield COCO's format for detection: one annotation for each picture, whose box is the crop or the whole picture.

    An annotation has a `score` if it is a prediction, and none if a person gave the label.
    """
    numbers = {label["id"]: number for number, label in enumerate(labels, 1)}
    categories = [
        {"id": numbers[label["id"]], "name": label["id"], "supercategory": label["group"]} for label in labels
    ]
    info = {"description": metadata["name"], "date_created": metadata["exported_at"], "job": metadata["job"]}
    yield f'{{"info":{_json(info)},"licenses":[],"categories":{_json(categories)},"images":['.encode()
    with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as annotations:
        yield from _joined(
            list(map(_json, _coco_images(items, numbers, cast("IO[bytes]", annotations)))) for items in pages
        )
        yield b'],"annotations":['
        annotations.seek(0)
        while block := annotations.read(_SPOOLED_BYTES):
            yield block
    yield b"]}\n"


def _coco_images(items: list[Row], numbers: Mapping[str, int], annotations: IO[bytes]) -> list[dict[str, Any]]:
    """Return the images of some items, and write their annotations into a file."""
    written = [_coco_annotation(item, numbers[item["label"]]) for item in items if item["label"] is not None]
    if written:
        annotations.write((b"," if annotations.tell() else b"") + ",".join(map(_json, written)).encode())
    return [
        {
            "id": item["position"] + 1,
            "file_name": _file_name(item),
            "width": item["width"],
            "height": item["height"],
            "coco_url": item["picture_url"],
            "item_id": item["id"],
            "custom_id": item["custom_id"],
            "source_name": item["source_name"],
        }
        for item in items
    ]


def _coco_annotation(item: Row, category: int) -> dict[str, Any]:
    box = [0, 0, item["width"], item["height"]]
    if item["crop_x"] is not None:
        box = [item[f"crop_{name}"] for name in ("x", "y", "width", "height")]
    return {
        "id": item["position"] + 1,
        "image_id": item["position"] + 1,
        "category_id": category,
        "bbox": box,
        "area": box[2] * box[3],
        "iscrowd": 0,
        "segmentation": [],
        **({} if item["review_rejected"] is not None else {"score": item["confidence"]}),
    }


def _encode_fiftyone(labels: Labels, pages: Iterable[list[Row]], metadata: Mapping[str, str]) -> Iterator[bytes]:
    """Yield `labels.json` of a FiftyOneImageClassificationDataset. Its keys are the ids of the items.

    A label has a `confidence` if it is a prediction. Null: a person said that no label fits.
    """
    numbers = {label["id"]: number for number, label in enumerate(labels)}
    yield f'{{"classes":{_json(list(numbers))},"labels":{{'.encode()
    yield from _joined([f"{_json(item['id'])}:{_json(_target(item, numbers))}" for item in items] for items in pages)
    yield b"}}\n"


def _target(item: Row, numbers: Mapping[str, int]) -> dict[str, Any] | None:
    if item["label"] is None:
        return None
    attributes = {
        "picture_url": item["picture_url"],
        "file_name": _file_name(item),
        "custom_id": item["custom_id"],
        "source_name": item["source_name"],
    }
    return {
        "label": numbers[item["label"]],
        **({} if item["review_rejected"] is not None else {"confidence": item["confidence"]}),
        "attributes": {name: value for name, value in attributes.items() if value is not None},
    }


def _file_name(item: Row) -> str:
    """Return a name that is unique in the job and safe in every folder, whatever the client's file was called."""
    is_jpeg = item["format"] == "jpeg" or not is_shown_by_browsers(item["format"])
    return f"{item['id']}.{'jpg' if is_jpeg else item['format']}"


def _joined(pages: Iterable[list[str]]) -> Iterator[bytes]:
    """Yield the members of a JSON array or object, with commas between them."""
    separator = ""
    for members in pages:
        if members:
            yield (separator + ",".join(members)).encode()
            separator = ","


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


LABEL_FORMATS = {
    "label-studio": LabelFormat("label-studio.json", _encode_label_studio),
    "coco": LabelFormat("coco.json", _encode_coco),
    "fiftyone": LabelFormat("fiftyone.json", _encode_fiftyone),
}

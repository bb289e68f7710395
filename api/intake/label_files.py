"""Reading the files of label tools: which item each entry means, and which label a person gave it.

Recognised are the tasks that Label Studio exports as JSON, COCO, and `labels.json` of a
FiftyOneImageClassificationDataset. Whatever else a file contains is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from api.answers.label_formats import CHOICES
from api.answers.problems import Problem
from core.errors import quoted_excerpt

FileFormat = Literal["label-studio", "coco", "fiftyone"]

MAX_ENTRIES = 30_000
"""Entries of one file. Each takes about a millisecond, and clients wait a minute for an answer."""
_MAX_NAME_CHARACTERS = 1000
"""Longer texts name no item."""
_EXPECTED = (
    "expected a list of tasks (Label Studio), or an object with `images`, `annotations` and `categories` (COCO), or "
    "with `classes` and `labels` (FiftyOne)"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """The labels that a file gives to one picture."""

    names: tuple[str, ...]
    """Texts that may name the item: its id, custom id, or the name of its file. The most reliable one comes first."""
    labels: tuple[str, ...]
    """The labels that the picture was given, each once. Empty: none was given. `NO_LABEL`: none of the model fits."""
    is_scored: bool = False
    """Whether the label has a score. If it is that of the prediction as well, nobody has changed it."""

    @property
    def shown_name(self) -> str:
        return self.names[0] if self.names else "(no name)"


def read_label_file(body: Any) -> tuple[FileFormat, list[Entry]]:
    """Return the format of a JSON body, and its entries.

    Raises:
        Problem: 422, it is no such file, or has too many entries.
    """
    entries: Iterator[Entry]
    kind: FileFormat
    if isinstance(body, list):
        kind, count, entries = "label-studio", len(body), _label_studio_entries(body)
    elif isinstance(body, dict) and isinstance(body.get("images"), list) and isinstance(body.get("annotations"), list):
        kind, count, entries = "coco", len(body["images"]), _coco_entries(body)
    elif isinstance(body, dict) and isinstance(body.get("labels"), dict):
        kind, count, entries = "fiftyone", len(body["labels"]), _fiftyone_entries(body)
    else:
        raise Problem(422, "unknown_label_file", f"The body is no file of a label tool: {_EXPECTED}.")
    if count > MAX_ENTRIES:
        detail = f"The file has {count:,} entries; at most {MAX_ENTRIES:,} are accepted. Send it in parts."
        raise Problem(422, "too_many_entries", detail)
    return kind, list(entries)


def _label_studio_entries(tasks: list[Any]) -> Iterator[Entry]:
    for number, task in enumerate(tasks):
        data = task.get("data") if isinstance(task, dict) else None
        if not isinstance(data, dict):
            detail = f"expected a task with `data`, as in Label Studio's export as JSON, got {quoted_excerpt(task)}"
            raise Problem(422, "unknown_label_file", f"{number}: {detail}", errors=[(f"/{number}", detail)])
        texts = [data.get("item_id"), data.get("custom_id"), data.get("name")]
        yield Entry(_names(texts, _urls(data.values())), _annotated_labels(task.get("annotations")))


def _annotated_labels(annotations: Any) -> tuple[str, ...]:
    """Return the choices of the latest annotation that was not skipped."""
    if not isinstance(annotations, list):
        return ()
    done = [row for row in annotations if isinstance(row, dict) and row.get("was_cancelled") is not True]
    if not done:
        return ()
    latest = max(done, key=lambda row: str(row.get("updated_at") or ""))
    results = latest.get("result")
    parts = [part for part in results if isinstance(part, dict)] if isinstance(results, list) else []
    # A project may have further choices, such as the quality of the photo.
    own = [part for part in parts if part.get("from_name") == CHOICES] or parts
    values = [part["value"] for part in own if isinstance(part.get("value"), dict)]
    lists = [value["choices"] for value in values if isinstance(value.get("choices"), list)]
    return _labels(choice for choices in lists for choice in choices)


def _coco_entries(body: Mapping[str, Any]) -> Iterator[Entry]:
    categories = {row.get("id"): row.get("name") for row in _objects(body.get("categories")) if _is_id(row.get("id"))}
    by_image: dict[Any, list[Mapping[str, Any]]] = {}
    for annotation in _objects(body["annotations"]):
        if _is_id(annotation.get("image_id")):
            by_image.setdefault(annotation["image_id"], []).append(annotation)
    for image in _objects(body["images"]):
        number = image.get("id")
        annotations = by_image.get(number, []) if _is_id(number) else []
        found = [row.get("category_id") for row in annotations]
        names = [image.get("item_id"), image.get("custom_id"), image.get("file_name"), image.get("source_name")]
        yield Entry(
            _names(names, []),
            _labels(categories.get(number, f"category {number}") for number in found if _is_id(number)),
            bool(annotations) and all(row.get("score") is not None for row in annotations),
        )


def _fiftyone_entries(body: Mapping[str, Any]) -> Iterator[Entry]:
    classes = body.get("classes") if isinstance(body.get("classes"), list) else []
    for key, target in body["labels"].items():
        targets = target if isinstance(target, list) else [target]
        rows = [row if isinstance(row, dict) else {"label": row} for row in targets]
        found = (row["attributes"] for row in rows if isinstance(row.get("attributes"), dict))
        attributes: Mapping[str, Any] = next(found, {})
        names = [key, attributes.get("custom_id"), attributes.get("source_name")]
        labels = _labels(_class_name(row.get("label"), classes) for row in rows)
        yield Entry(_names(names, []), labels, bool(labels) and all(row.get("confidence") is not None for row in rows))


def _class_name(target: Any, classes: Any) -> Any:
    if isinstance(target, int) and not isinstance(target, bool):
        return classes[target] if 0 <= target < len(classes) else f"class {target}"
    return target


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str)


def _labels(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if isinstance(value, str) and value))


def _urls(values: Iterable[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str) and value.startswith(("http://", "https://"))]


def _names(texts: Iterable[Any], urls: Iterable[str]) -> tuple[str, ...]:
    """Return what may name an item: the texts, the names of files in them without folder or ending, and ids in URLs."""
    given = [text for text in texts if isinstance(text, str)]
    files = [PurePosixPath(text.replace("\\", "/")) for text in given if len(text) <= _MAX_NAME_CHARACTERS]
    parts = [part for url in urls for part in _path_parts(url)]
    found = [*given, *(file.stem for file in files), *(file.name for file in files), *parts]
    return tuple(dict.fromkeys(name for name in found if 0 < len(name) <= _MAX_NAME_CHARACTERS and "\0" not in name))


def _path_parts(url: str) -> list[str]:
    """Return the parts of a URL's path that may name an item: `/v1/items/{id}/image`, or the name of a file."""
    try:
        path = urlsplit(url[: 4 * _MAX_NAME_CHARACTERS]).path
    except ValueError:
        return []
    parts = [unquote(part) for part in path.split("/") if part]
    return [part for part in parts if part.startswith("itm_")] + parts[-1:]

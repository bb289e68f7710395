"""Datasets: the labels of items, the clusters of pictures, the sides of a split, and the folder."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from classifier.clusters import PictureToCompare, choose_side, cluster
from classifier.learning.data.folder import DatasetFolder, file_of
from classifier.learning.training.recipe import fit_to_dataset, read_recipe
from cli.labelling import (
    LabelledPictures,
    LabelsFrom,
    Vocabulary,
    agreed_labels,
    check_folder_name,
    families_of,
    product_key,
    read_renaming,
)
from core.errors import DatasetInvalid
from core.settings import PROJECT
from lookbook import Item
from lookbook.model_answers import Labels
from lookbook.reading import read

LABELS = read(
    Labels,
    {
        "model": "garments@1",
        "groups": [{"id": "tops", "name": "Tops", "names": {"en": "Tops", "ko": "상의"}}],
        "labels": [
            {"id": "shirt", "name": "Shirt", "group": "tops", "names": {"en": "Shirt", "ko": "셔츠"}},
            {"id": "dress", "name": "Dress", "group": "tops", "names": {"en": "Dress", "ko": "원피스"}},
        ],
    },
)
MEMBERS = ["name", "url", "page_url", "alt", "query", "label", "rank", "rule"]


def sha(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def item(
    content: str,
    reviewed_as: str | None = None,
    *,
    crop: bool = False,
    product_id: str | None = None,
    category: str = "",
    **source: str,
) -> Item:
    """Return an item that shows `content`. `reviewed_as` is the label of its review, or "none" for a rejection."""
    review = None
    if reviewed_as is not None:
        label = None if reviewed_as == "none" else {"id": reviewed_as, "name": reviewed_as, "group": "tops"}
        times = {"created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-01-31T12:00:00Z"}
        review = {"label": label, "rejected": label is None, "by": None, **times}
    picture = dict.fromkeys(["width", "height", "format", "thumbnail", "explanation"])
    return read(
        Item,
        {
            "id": f"itm_{content}",
            "job_id": "job_1",
            "position": 0,
            "status": "succeeded",
            "source": {**dict.fromkeys(MEMBERS), "name": content, **source},
            "image": {**picture, "sha256": sha(content), "bytes": 1, "truncated": False, "original": ""},
            "crop": {"x": 0, "y": 0, "width": 1, "height": 1} if crop else None,
            "metadata": {},
            "product": {"product_id": product_id, "category": category or None, "breadcrumb": [], "sources": {}},
            "regions": [],
            "review": review,
        },
    )


def a_vocabulary(**renamed: str) -> Vocabulary:
    vocabulary = Vocabulary(renamed)
    vocabulary.learn(LABELS)
    return vocabulary


def label_all(items: list[Item], labels_from: LabelsFrom, **renamed: str) -> LabelledPictures:
    labelled = LabelledPictures()
    assert list(labelled.add(items, labels_from, a_vocabulary(**renamed))) == items
    return labelled


def chosen(labelled: LabelledPictures, clusters: dict[str, str] | None = None) -> dict[str, tuple[str, str]]:
    """Return the label of each picture and its kind, by the item's name.

    Each picture is its own cluster unless `clusters` says otherwise.
    """
    own_clusters = {name: name for name in labelled.pictures}
    return {
        labelled_item.source.name: (label.label, label.kind)
        for labelled_item, label in agreed_labels(labelled, own_clusters | (clusters or {})).values()
    }


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("Shirt", "shirt"),
        ("셔츠", "shirt"),
        ("  DRESS ", "dress"),
        ("winter  Coats", "shirt"),
        ("Coats & Jackets", "coats-jackets"),
        ("겨울 코트", "겨울-코트"),
        ("../../etc", "etc"),
        ("★", None),
    ],
)
def test_a_word_means_the_label_of_that_name_or_a_new_label(word: str, label: str | None) -> None:
    vocabulary = Vocabulary({"Winter coats": "shirt"})
    vocabulary.learn(LABELS)
    assert vocabulary.label_of(word) == label


def test_the_taxonomy_lists_the_models_labels_first_and_then_new_ones() -> None:
    vocabulary = a_vocabulary()
    used = [vocabulary.label_of(word) for word in ("zebra", "Coat", "dress")]
    taxonomy = vocabulary.taxonomy("mine", [label for label in used if label])
    assert [(label["id"], label["group"]) for label in taxonomy["labels"]] == [
        ("dress", "tops"),
        ("coat", "other"),
        ("zebra", "other"),
    ]
    assert [group["id"] for group in taxonomy["groups"]] == ["tops", "other"]


def test_reviews_take_precedence_over_words() -> None:
    items = [
        item("a", category="Shirt"),
        item("b", "dress", category="Shirt"),
        item("c", "none", category="Shirt"),
        item("d"),
        item("e", crop=True, category="Shirt"),
    ]
    labelled = label_all(items, LabelsFrom.CATEGORY)
    assert chosen(labelled) == {"a": ("shirt", "weak"), "b": ("dress", "verified")}
    assert labelled.left_out == Counter(rejected=1, unlabelled=1, cropped=1)


def test_words_are_ignored_if_labels_come_from_reviews() -> None:
    labelled = label_all([item("a", query="Shirt"), item("b", "dress", query="Shirt")], LabelsFrom.REVIEW)
    assert chosen(labelled) == {"b": ("dress", "verified")}


def test_pictures_with_contradictory_words_are_left_out() -> None:
    items = [item("a", query="shirt"), item("a", query="dress"), item("b", query="shirt"), item("c", query="dress")]
    labelled = label_all(items, LabelsFrom.QUERY)
    # b and c show the same picture in different bytes.
    assert chosen(labelled, {sha("b"): "one", sha("c"): "one"}) == {}
    assert labelled.left_out == Counter(contradictory=4)


def test_a_review_decides_about_a_picture_and_contradictory_words_are_left_out() -> None:
    items = [item("a", "dress", query="shirt"), item("b", query="shirt"), item("c", query="dress")]
    labelled = label_all(items, LabelsFrom.QUERY)
    same_cluster = dict.fromkeys([sha("a"), sha("b"), sha("c")], "one")
    assert chosen(labelled, same_cluster) == {"a": ("dress", "verified"), "c": ("dress", "weak")}
    assert labelled.left_out == Counter(contradictory=1)


def test_a_picture_with_contradictory_reviews_is_left_out() -> None:
    items = [item("a", "dress"), item("a", "shirt"), item("b", "dress"), item("c", "shirt")]
    labelled = label_all(items, LabelsFrom.REVIEW)
    # Each copy keeps the label of its own review.
    assert chosen(labelled, {sha("b"): "one", sha("c"): "one"}) == {
        "b": ("dress", "verified"),
        "c": ("shirt", "verified"),
    }


@pytest.mark.parametrize("text", ["", "coat", "=shirt", "coat= "])
def test_a_renaming_has_two_sides(text: str) -> None:
    with pytest.raises(ValueError, match="WORD=LABEL"):
        read_renaming(text)


@pytest.mark.parametrize("label", ["..", ".hidden", "a/b", "", "a\\b"])
def test_a_label_that_leads_out_of_the_folder_is_refused(label: str) -> None:
    with pytest.raises(DatasetInvalid):
        check_folder_name(label)


def shown(name: str, *flipped: int, aspect: float = 1.0) -> PictureToCompare:
    """Return a picture whose hash has only these bits set."""
    bits = sum(1 << bit for bit in flipped)
    return PictureToCompare(sha(name), bits.to_bytes(32, "big") + bytes(3), aspect)


def test_pictures_that_are_alike_through_others_form_one_cluster_in_any_order() -> None:
    far = range(0, 20)
    farther = range(20, 35)
    pictures = [shown("a"), shown("b", *far), shown("c", *far, *farther), shown("d", aspect=2.0)]
    pictures.append(PictureToCompare(sha("e"), None, 1.0))
    found = cluster(pictures)
    assert len({found[sha(name)] for name in "abc"}) == 1
    assert len(set(found.values())) == 3
    assert cluster(reversed(pictures)) == found
    assert found[sha("a")] == min(sha(name) for name in "abc")[:16]


def test_pictures_of_one_product_or_one_photo_form_a_family_across_jobs_of_one_shop() -> None:
    page = "https://shop.example/p"
    shown = [
        item("a", product_id="1", query="dress", page_url=page),
        item("b", product_id="1", query="dress", page_url=page),
        item("c", product_id="2", query="dress", page_url=page),
        item("d", product_id="1", query="dress", page_url="https://other.example/p"),
        item("e", product_id="1", query="dress"),
        item("f", query="dress"),
    ]
    names = {sha(name): name for name in "abcdef"}
    families = families_of(label_all(shown, LabelsFrom.QUERY), names | {sha("c"): "b"})
    # c is a copy of b, which shows the same product as a. The id 1 means something else in another shop or job.
    assert {names[key]: family for key, family in families.items()} == {
        **dict.fromkeys("abc", "a"),
        **{name: name for name in "def"},
    }
    assert product_key(shown[0]) == "shop.example 1"


def test_each_side_of_a_split_gets_about_its_share_of_the_clusters() -> None:
    sides = Counter(choose_side(sha(str(n))[:16], {"test": 0.1, "validation": 0.2}, "train") for n in range(5000))
    assert 0.08 < sides["test"] / 5000 < 0.12
    assert 0.18 < sides["validation"] / 5000 < 0.22
    # Without shares every cluster is in the default side.
    assert choose_side("0" * 16, {}, "train") == "train"


def rows_of(names: str) -> list[dict[str, Any]]:
    return [{"file": file_of("train", "shirt", sha(name), "jpeg"), "sha256": sha(name)} for name in names]


def test_an_interrupted_build_goes_on_and_a_finished_one_is_overwritten_only_when_asked(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path / "set")
    folder.check(overwrite=False)
    folder.begin()
    folder.keep(sha("a"), b"a")
    folder.keep(sha("b"), b"b")
    again = DatasetFolder(tmp_path / "set")
    again.check(overwrite=False)
    again.begin()
    assert (again.read(sha("a")), again.read(sha("c"))) == (b"a", None)
    again.finish(rows_of("a"), {"data": {}})
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["dataset.json", "manifest.jsonl", "train"]
    assert json.loads((tmp_path / "set" / "manifest.jsonl").read_text()) == rows_of("a")[0]
    with pytest.raises(DatasetInvalid, match="--overwrite"):
        folder.check(overwrite=False)
    folder.check(overwrite=True)
    folder.begin()
    assert folder.read(sha("a")) == b"a"
    assert not (tmp_path / "set" / "train").exists()


def test_a_build_does_not_touch_a_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(DatasetInvalid, match="other files"):
            DatasetFolder(tmp_path).check(overwrite=overwrite)


def test_a_picture_whose_bytes_do_not_match_its_sha256_is_refused(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path / "set")
    folder.begin()
    with pytest.raises(DatasetInvalid, match="SHA-256"):
        folder.keep(sha("a"), b"b")
    with pytest.raises(DatasetInvalid, match="hexadecimal"):
        folder.read("../dataset.json")
    folder.keep(sha("a"), b"a")
    next((tmp_path / "set").glob(".pictures/*")).write_bytes(b"cut")
    assert folder.read(sha("a")) is None


def test_training_uses_the_labels_of_a_dataset_that_has_its_own(tmp_path: Path) -> None:
    recipe, taxonomy = read_recipe(PROJECT / "recipes" / "training" / "garments.yaml")
    assert fit_to_dataset(recipe, taxonomy, tmp_path) == (recipe, taxonomy)
    own = a_vocabulary().taxonomy("mine", ["dress"])
    note = {"title": "one", "source": "job_1", "licence": "theirs", "limits": "few"}
    (tmp_path / "dataset.json").write_text(json.dumps({"taxonomy": own, "data": note}))
    changed, labels = fit_to_dataset(recipe, taxonomy, tmp_path)
    assert (labels.label_ids, changed.data.title, changed.notes) == (["dress"], "one", "")
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(DatasetInvalid, match=r"dataset\.json"):
        fit_to_dataset(recipe, taxonomy, tmp_path)

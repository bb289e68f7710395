"""Reading datasets: the AI Hub form in folders and zips, label folders and built datasets, and every irregularity."""

from __future__ import annotations

import hashlib
import io
import json
import os
import unicodedata
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from classifier.garments import Box, Polygon
from classifier.learning.data.garments import Attribute
from classifier.learning.data.index import PictureIndex, PictureRow
from classifier.learning.data.irregularities import Irregularity
from classifier.learning.data.reading import ReadingOptions, make_index
from core.errors import DatasetInvalid
from core.item_errors import ItemError
from tests.kfashion_tree import VALIDATION, Tree, box, label, picture, polygon

T = TypeVar("T")


def untracked(values: Iterable[T], _length: int, /) -> Iterable[T]:
    return values


def read(root: Path, **options: Any) -> PictureIndex:
    return make_index(root, root.parent / f"{root.name}.arrow", ReadingOptions(**options), untracked)


def rows(index: PictureIndex) -> dict[str, PictureRow]:
    return {row.key: row for row in map(index.row, range(len(index)))}


def kinds(index: PictureIndex) -> dict[str, int]:
    return {name: found["count"] for name, found in index.note.irregularities.to_json().items()}


def only_row(tree: Tree, folder: Path) -> tuple[PictureRow, dict[str, int]]:
    index = read(tree.write(folder))
    assert len(index) == 1
    return index.row(0), kinds(index)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def small_tree() -> Tree:
    tree = Tree()
    tree.add("스트리트", "11", label(11, "스트리트", "힙합", file_name="mall_p1_1.jpg"), picture(1), label_stem="11")
    tree.add("로맨틱", "12", label(12, "로맨틱"), picture(2))
    tree.add("로맨틱", "13", label(13, "로맨틱"), picture(3), split=VALIDATION)
    return tree


@pytest.mark.parametrize("written", ["folders", "zips", "mixed"])
def test_the_same_dataset_has_the_same_index_in_folders_and_in_zips(root: Path, written: str) -> None:
    tree = small_tree()
    if written == "folders":
        tree.write(root)
    else:
        tree.write_zips(root, also_folders="Training/라벨링데이터" if written == "mixed" else "\0")
    index = read(root)
    found = rows(index)
    assert list(found) == ["train/로맨틱/12", "train/스트리트/11", "validation/로맨틱/13"]
    street = found["train/스트리트/11"]
    assert (street.label, street.sub_labels, street.split) == ("street", ("hip-hop",), "train")
    assert (street.width, street.height, street.readable) == (96, 128, True)
    assert street.identifier == "11"
    assert [index.read(number) for number in range(3)] == [picture(2), picture(1), picture(3)]
    assert bool(street.container) is (written != "folders")
    assert kinds(index) == {}


@pytest.mark.parametrize(
    "level", [".", "K-Fashion 이미지", "K-Fashion 이미지/Training", "K-Fashion 이미지/Training/원천데이터"]
)
def test_the_folder_may_be_any_level_above_the_styles(root: Path, level: str) -> None:
    small_tree().write(root)
    found = rows(read(root / level))
    assert {row.label for row in found.values() if row.folder == "로맨틱"} == {"romantic"}
    assert {row.split for row in found.values()} - {"validation"} == {"train"}


def test_boxes_polygons_and_attributes_are_read_by_garment(root: Path) -> None:
    tree = Tree()
    content = label(
        1,
        "펑크",
        boxes={"아우터": [box(1, 2, 30, 40)], "상의": [box(5.5, 6, 7, 8), box(9, 9, 9, 9)]},
        polygons={"하의": [polygon((1, 2), (3, 4), (5, 6))]},
        garments={"상의": [{"카테고리": "티셔츠", "소재": ["니트", "데님"], "색상": "블랙"}]},
    )
    tree.add("펑크", "1", content, picture(1))
    row, found = only_row(tree, root)
    assert set(row.boxes) == {Box("outer", 1, 2, 30, 40), Box("top", 5.5, 6, 7, 8), Box("top", 9, 9, 9, 9)}
    assert row.polygons == (Polygon("bottom", (1, 3, 5), (2, 4, 6)),)
    assert Attribute("top", "material", "데님") in row.attributes
    assert Attribute("top", "category", "티셔츠") in row.attributes
    assert found == {}


ONE_PICTURE: dict[Irregularity, tuple[str, Any, str | None]] = {
    Irregularity.STYLE_FROM_FOLDER: ("레트로", label(1, None), "retro"),
    Irregularity.STYLE_DIFFERS_FROM_FOLDER: ("레트로", label(1, "모던"), "modern"),
    Irregularity.STYLE_ALIAS: ("스트리트", label(1, "스트릿"), "street"),
    Irregularity.NOT_A_LABEL: ("기타", label(1, "기타"), None),
    Irregularity.UNKNOWN_STYLE: ("레트로", label(1, "사이버"), None),
    Irregularity.UNKNOWN_SUB_STYLE: ("레트로", label(1, "레트로", "기타"), "retro"),
    Irregularity.ZERO_AREA_BOX: ("레트로", label(1, "레트로", boxes={"상의": [box(width=0)]}), "retro"),
    Irregularity.BOX_OUTSIDE_PICTURE: ("레트로", label(1, "레트로", boxes={"상의": [box(x=90)]}), "retro"),
    Irregularity.INVALID_COORDINATE: ("레트로", label(1, "레트로", boxes={"상의": [{"X좌표": 1}]}), "retro"),
    Irregularity.COORDINATE_AS_TEXT: ("레트로", label(1, "레트로", boxes={"상의": [box(x="10")]}), "retro"),
    Irregularity.PICTURE_WITHOUT_LABEL: ("레트로", None, "retro"),
    Irregularity.ORIGINAL_NAME: ("레트로", label(77, "레트로", file_name="mall_p_1.jpg"), "retro"),
    Irregularity.NON_BREAKING_SPACE: ("레트로", label(1, "레트로\u00a0"), "retro"),
    Irregularity.VALUE_VARIANT: ("레트로", label(1, "레트로", garments={"상의": [{"핏": "노말"}]}), "retro"),
    Irregularity.BYTE_ORDER_MARK: ("레트로", b"\xef\xbb\xbf" + json.dumps(label(1, "모던")).encode(), "modern"),
    Irregularity.SIZE_DIFFERS: ("레트로", label(1, "레트로", size=(960, 1280)), "retro"),
    Irregularity.INVALID_LABEL_FILE: ("레트로", b"{", "retro"),
    Irregularity.SEVERAL_STYLES: ("레트로", label(1, "레트로"), "retro"),
}
ONE_PICTURE[Irregularity.SEVERAL_STYLES][1]["데이터셋 정보"]["데이터셋 상세설명"]["라벨링"]["스타일"].append(
    {"스타일": "모던"}
)
ALSO = {
    Irregularity.INVALID_LABEL_FILE: {"style_from_folder": 1},
    Irregularity.BYTE_ORDER_MARK: {"style_differs_from_folder": 1},
}
"""Irregularities that such a label file has besides."""


@pytest.mark.parametrize("kind", ONE_PICTURE)
def test_an_irregular_label_file_is_counted_and_read_as_described(root: Path, kind: Irregularity) -> None:
    folder, content, expected = ONE_PICTURE[kind]
    tree = Tree()
    tree.add(folder, "1", content, picture(1))
    row, found = only_row(tree, root)
    assert found == {kind.value: 1} | ALSO.get(kind, {})
    assert row.label == expected


def test_boxes_are_cut_at_the_edges_and_dropped_without_area(root: Path) -> None:
    tree = Tree()
    boxes = [box(-10, 100, 30, 100), box(200, 5, 10, 10), box(1, 1, "20", "30"), box(3, 3, 0, 9), box("x")]
    tree.add("펑크", "1", label(1, "펑크", boxes={"하의": boxes}), picture(1))
    row, found = only_row(tree, root)
    assert row.boxes == (Box("bottom", 0, 100, 20, 28), Box("bottom", 1, 1, 20, 30))
    assert found == {
        "zero_area_box": 1,
        "box_outside_picture": 2,
        "coordinate_as_text": 3,
        "invalid_coordinate": 1,
    }


def test_values_are_read_with_plain_spaces_and_known_spellings(root: Path) -> None:
    tree = Tree()
    values = {"핏": "노말", "프린트": ["도\u00a0트", None], "디테일": []}
    tree.add("펑크", "1", label(1, "펑크", garments={"상의": [values]}), picture(1))
    row, _ = only_row(tree, root)
    assert row.attributes == (Attribute("top", "fit", "노멀"), Attribute("top", "print", "도 트"))


def test_files_without_a_partner_are_kept_and_counted(root: Path) -> None:
    tree = small_tree()
    tree.add("펑크", "21", label(21, "펑크"), None)
    tree.add("펑크", "22", None, picture(22))
    index = read(tree.write(root))
    assert kinds(index) == {"label_without_picture": 1, "picture_without_label": 1}
    assert rows(index)["train/펑크/22"].label == "punk"


def test_a_picture_with_its_original_name_finds_the_label_file_that_names_it(root: Path) -> None:
    tree = Tree()
    tree.add("펑크", "mall_p7_2", None, picture(1), suffix=".JPG")
    tree.add("펑크", "501", label(501, "모던", file_name="mall_p7_2.jpg"), None)
    row, found = only_row(tree, root)
    assert (row.label, row.identifier, row.product) == ("modern", "501", "mall_p7")
    assert found == {"style_differs_from_folder": 1, "uppercase_suffix": 1, "original_name": 1}


def test_a_label_file_that_two_pictures_could_have_is_given_to_neither(root: Path) -> None:
    tree = Tree()
    tree.add("펑크", "mall_p7_2", None, picture(1))
    tree.add("펑크", "501", None, picture(2))
    tree.add("펑크", "x", label(501, "모던", file_name="mall_p7_2.jpg"), None)
    index = read(tree.write(root))
    assert kinds(index) == {"label_without_picture": 1, "picture_without_label": 2}


@pytest.mark.parametrize("zipped", [False, True])
def test_names_in_decomposed_unicode_find_their_partner(root: Path, zipped: bool) -> None:
    tree = Tree()
    tree.add("로맨틱", "가방", label(1, "로맨틱"), picture(1))
    composed = "Training/원천데이터/로맨틱/가방.jpg"
    tree.files["Training/원천데이터/" + unicodedata.normalize("NFD", "로맨틱/가방.jpg")] = tree.files.pop(composed)
    (tree.write_zips if zipped else tree.write)(root)
    index = read(root)
    assert index.row(0).label == "romantic"
    assert kinds(index) == {"decomposed_name": 2, "original_name": 1}
    assert index.read(0) == picture(1)


def test_what_only_several_files_show_is_counted_once_each(root: Path) -> None:
    tree = Tree()
    tree.add("펑크", "1", label(1, "펑크"), picture(1))
    tree.add("모던", "2", label(1, "모던"), picture(1))
    tree.add("모던", "3", label(3, "모던"), picture(3))
    tree.add("모던", "3", label(4, "모던"), picture(4), split=VALIDATION)
    index = read(tree.write(root))
    assert kinds(index) == {"duplicate_identifier": 1, "two_labels": 1, "in_both_splits": 1, "original_name": 2}
    assert {row.label for row in rows(index).values() if row.sha256 == rows(index)["train/펑크/1"].sha256} == {
        "punk",
        "modern",
    }


def test_pictures_with_one_name_and_two_suffixes_are_both_kept(root: Path) -> None:
    tree = small_tree()
    tree.files["Training/원천데이터/로맨틱/12.PNG"] = picture(12)
    index = read(tree.write(root))
    assert kinds(index) == {"repeated_name": 1, "uppercase_suffix": 1}
    assert {key: rows(index)[key].label for key in ("train/로맨틱/12", "train/로맨틱/12#2")} == {
        "train/로맨틱/12": "romantic",
        "train/로맨틱/12#2": "romantic",
    }


def test_a_damaged_picture_stays_in_the_index_and_out_of_training(root: Path) -> None:
    tree = small_tree()
    tree.add("펑크", "9", label(9, "펑크"), picture(9)[:500])
    tree.add("펑크", "10", label(10, "펑크"), b"no picture")
    index = read(tree.write(root))
    assert kinds(index) == {"unreadable_picture": 2}
    assert (len(index), len(index.usable())) == (5, 3)
    assert not rows(index)["train/펑크/9"].readable


DEEP = b"[" * 200_000
HOSTILE = {
    "deep nesting": (DEEP, "invalid_label_file"),
    "a number of many digits": (b'{"a": ' + b"9" * 10_000 + b"}", "invalid_label_file"),
    "more than four megabytes": (b" " * (4 * 2**20 + 1), "refused_file"),
    "no object": (b"[1, null]", "invalid_label_file"),
    "no UTF-8": (b"\xff\xfe{}", "invalid_label_file"),
    "a lone surrogate": (json.dumps(label(1, "\ud800")).encode(), "unknown_style"),
    "an endless number": (
        json.dumps(label(1, "펑크", boxes={"상의": [box(float("inf"))]})).encode(),
        "invalid_coordinate",
    ),
    "objects instead of texts": (json.dumps(label({"a": 1}, "펑크")).encode(), "invalid_label_file"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_hostile_label_file_is_counted_and_ends_nothing(root: Path, name: str, zipped: bool) -> None:
    data, kind = HOSTILE[name]
    tree = small_tree()
    tree.add("펑크", "1", data, picture(30))
    (tree.write_zips if zipped else tree.write)(root)
    index = read(root)
    assert kinds(index)[kind] == 1
    assert len(index) == 4


def test_hostile_members_of_zips_are_refused_and_counted(root: Path) -> None:
    small_tree().write_zips(root)
    path = next((root / "K-Fashion 이미지").glob("Training/원천데이터/*.zip"))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("../../outside.jpg", picture(40))
        file.writestr("/absolute.jpg", picture(41))
        file.writestr("펑크/bomb.jpg", b"\0" * (8 * 2**20))
        file.writestr("__MACOSX/펑크/._11.jpg", b"x")
    broken = path.with_name("broken.zip")
    broken.write_bytes(b"PK\x03\x04" + b"\0" * 50)
    index = read(root)
    assert kinds(index) == {
        "refused_file": 3,
        "invalid_archive": 1,
        "other_file": 1,
        "picture_without_label": 1,
    }
    assert not (root.parent / "outside.jpg").exists()
    assert [row.readable for row in rows(index).values()].count(False) == 1


def test_pipes_links_in_a_circle_and_odd_names_are_refused(root: Path) -> None:
    small_tree().write(root)
    os.mkfifo(root / "pipe.jpg")
    (root / "above").symlink_to(root)
    (root / "gone.jpg").symlink_to(root / "nowhere")
    (root / os.fsdecode(b"\xff.jpg")).write_bytes(picture(50))
    index = read(root)
    assert kinds(index) == {"refused_file": 4}
    assert len(index) == 3


def test_other_files_are_counted(root: Path) -> None:
    small_tree().write(root)
    (root / "readme.txt").write_text("hello", "utf-8")
    (root / "about.json").write_text("{}", "utf-8")
    assert kinds(read(root)) == {"other_file": 2}


def test_label_folders_without_a_taxonomy_are_their_own_labels(root: Path) -> None:
    for path in ("train/coat/a_b_1.jpg", "train/dress/b.png", "validation/coat/c.jpg"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(picture(len(path)))
    index = read(root)
    assert kinds(index) == {}
    assert index.note.taxonomy.label_ids == ["coat", "dress"]
    assert {key: (row.label, row.split) for key, row in rows(index).items()} == {
        "train/coat/a_b_1": ("coat", "train"),
        "train/dress/b": ("dress", "train"),
        "validation/coat/c": ("coat", "validation"),
    }
    assert index.label_numbers().tolist() == [0, 1, 0]


def test_the_manifest_of_a_built_dataset_gives_labels_kinds_and_products(root: Path) -> None:
    lines = []
    for name, kind, product in (("aa", "weak", "s.example C-17"), ("bb", "verified", None)):
        path = root / "train" / "coat" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(ord(name[0])))
        row = {"file": f"train/coat/{name}.jpg", "label": "coat", "kind": kind, "cluster": name, "product_key": product}
        lines.append(json.dumps(row))
    lines += ["no json", json.dumps({"file": "../x.jpg", "label": "coat", "kind": "weak", "cluster": "", "source": {}})]
    lines += [json.dumps({"file": "gone.jpg", "label": "coat", "kind": "weak", "cluster": "", "source": {}})]
    (root / "manifest.jsonl").write_text("\n".join(lines), "utf-8")
    index = read(root)
    assert [(row.kind, row.product) for row in rows(index).values()] == [
        ("weak", "s.example C-17"),
        ("verified", "bb"),
    ]
    assert kinds(index) == {"invalid_label_file": 1, "refused_file": 1, "label_without_picture": 1}


def test_a_saved_index_opens_again_and_notices_a_changed_zip(root: Path) -> None:
    index = read(small_tree().write_zips(root))
    path = root.parent / "copy.arrow"
    index.save(path)
    opened = PictureIndex.open(path)
    assert rows(opened) == rows(index)
    assert opened.note.to_json() == index.note.to_json()
    changed = next((root / "K-Fashion 이미지").glob("Training/원천데이터/*.zip"))
    with zipfile.ZipFile(changed, "a") as file:
        file.writestr("new.txt", b"")
    with pytest.raises(DatasetInvalid, match="has changed"):
        PictureIndex.open(path)
    path.write_bytes(b"ARROW1 but damaged")
    with pytest.raises(DatasetInvalid, match="expected an index"):
        PictureIndex.open(path)


def test_an_index_without_decoding_has_sizes_and_no_fingerprints(root: Path) -> None:
    tree = small_tree()
    tree.add("펑크", "9", label(9, "펑크"), b"no picture")
    index = read(tree.write(root), whole=False, weight=0.5)
    found = rows(index)
    assert [row.fingerprint for row in found.values()] == [None] * 4
    assert found["train/펑크/9"].sha256 == hashlib.sha256(b"no picture").hexdigest()
    assert (found["train/로맨틱/12"].width, found["train/로맨틱/12"].weight) == (96, 0.5)
    assert kinds(index) == {"unreadable_picture": 1}


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match="expected pictures"):
        read(tmp_path)
    with pytest.raises(DatasetInvalid, match="expected a folder"):
        read(tmp_path / "missing")


def test_reading_a_picture_that_is_gone_is_an_item_error(root: Path) -> None:
    index = read(small_tree().write(root))
    path = root.parent / "copy.arrow"
    index.save(path)
    (root / index.row(0).path).unlink()
    with pytest.raises(DatasetInvalid, match="expected an index of"):
        PictureIndex.open(path)
    with pytest.raises(ItemError, match="cannot read"):
        index.read(0)
    assert io.BytesIO(index.read(1)).read() == picture(1)

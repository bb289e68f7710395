"""Figures, clusters, splits and prepared pictures of datasets, and the commands that show them."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from classifier.clusters import PictureToCompare, cluster, components
from classifier.learning.data.figures import all_figures
from classifier.learning.data.index import PictureIndex
from classifier.learning.data.prepared import OUTCOMES, PIXELS, PreparedPictures, prepare_pictures
from classifier.learning.data.reading import ReadingOptions, make_index
from classifier.learning.data.split_files import read_split
from classifier.learning.data.splitting import assign_sides, find_families, measure_leaks
from classifier.learning.training.recipe import fit_to_dataset, read_recipe
from classifier.prepare import InputSpec, prepare
from cli.main import app
from core.errors import DatasetInvalid
from core.fingerprints import alike, bands
from core.settings import PROJECT
from tests.kfashion_tree import VALIDATION, Tree, box, label, picture

T = TypeVar("T")
SPEC = InputSpec(32)
SIZE = (320, 400)


def untracked(values: Iterable[T], _length: int, /) -> Iterable[T]:
    return values


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dataset with a leak of each kind: the name 5, the product mall_p1, and the photo of 3, which 6 shows again."""
    tree = Tree()
    punk = label(2, "펑크", file_name="mall_p2_1.jpg", boxes={"상의": [box()]}, size=SIZE)
    tree.add("펑크", "1", label(1, "펑크", "힙합", file_name="mall_p1_1.jpg", size=SIZE), picture(1, SIZE))
    tree.add("펑크", "2", punk, picture(2, SIZE))
    tree.add("모던", "3", label(3, "모던", size=SIZE), picture(3, SIZE))
    tree.add("모던", "5", label(50, "모던", size=SIZE), picture(4, SIZE))
    for name, seed, file_name in (("4", 7, "mall_p1_2.jpg"), ("5", 5, None), ("6", 3, None)):
        content = label(int(name) + 100, "모던", file_name=file_name, size=SIZE)
        quality = 60 if seed == 3 else 90
        tree.add("모던", name, content, picture(seed, SIZE, quality), split=VALIDATION)
    tree.add("기타", "8", label(8, "기타", size=SIZE), picture(8, SIZE))
    tree.add("레트로", "9", label(9, "레트로"), b"no picture")
    return tree.write_zips(tmp_path / "data")


@pytest.fixture
def index(root: Path) -> Iterator[PictureIndex]:
    index = make_index(root, root.parent / "index.arrow", ReadingOptions(), untracked)
    yield index
    index.close()


def run(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["dataset", *arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return json.loads(result.stdout) if "--json" in arguments else result.stdout


def test_figures_count_labels_sizes_products_and_sub_labels(index: PictureIndex) -> None:
    figures = all_figures(index)
    assert (figures["pictures"], figures["labelled"], figures["unreadable"]) == (9, 8, 1)
    assert figures["labels"]["modern"] == {"train": 2, "validation": 3}
    assert figures["labels"]["punk"] == {"train": 2}
    assert figures["labels"]["classic"] == {}
    assert figures["unlabelled"] == {"train": 1}
    assert figures["sizes"]["height"]["median"] == 400
    assert figures["sub_labels"] == {"punk": {"hip-hop": 1}}
    assert figures["garments"] == {"top": 1}
    assert figures["products"] == 8


def sha256(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def reference_clusters(pictures: list[PictureToCompare]) -> list[set[str]]:
    """Return the clusters, found by comparing every pair."""
    found = [{picture.sha256} for picture in pictures]
    for one in pictures:
        for other in pictures:
            first, second = one.fingerprint or b"", other.fingerprint or b""
            if (
                first
                and second
                and set(enumerate(bands(first))) & set(enumerate(bands(second)))
                and alike(first, second, one.aspect / other.aspect)
            ):
                joined = [group for group in found if group & {one.sha256, other.sha256}]
                found = [group for group in found if group not in joined] + [set().union(*joined)]
    return found


def test_clusters_are_those_of_comparing_every_pair() -> None:
    chance = np.random.default_rng(1)
    pictures: list[PictureToCompare] = []
    for number in range(120):
        earlier = pictures[chance.integers(len(pictures))].fingerprint if pictures and number % 3 else None
        values = np.frombuffer(earlier or chance.bytes(35), np.uint8).copy()
        for _ in range(chance.integers(14)):
            values[chance.integers(32)] ^= 1 << chance.integers(8)
        values[32:] = np.clip(values[32:].astype(int) + chance.integers(-2, 3, 3), 0, 255)
        aspect = float(chance.choice([0.75, 0.76, 1.2]))
        pictures.append(PictureToCompare(sha256(number), None if number == 60 else values.tobytes(), aspect))
    names: dict[str, set[str]] = {}
    for digest, name in cluster(pictures).items():
        names.setdefault(name, set()).add(digest)
    expected = reference_clusters(pictures)
    assert 1 < max(map(len, expected)) < 120
    assert {frozenset(group) for group in names.values()} == {frozenset(group) for group in expected}
    assert all(name == min(group)[:16] for name, group in names.items())


def test_components_join_numbers_over_chains_of_any_length() -> None:
    first = np.arange(999, 0, -1)
    assert set(components(1002, [(first, first - 1)]).tolist()) == {0, 1000, 1001}
    assert components(3, []).tolist() == [0, 1, 2]


def test_families_join_products_and_alike_pictures(index: PictureIndex) -> None:
    families = find_families(index)
    members: dict[int, set[str]] = {}
    for key, family in zip(index.column("key"), families.families.tolist(), strict=True):
        members.setdefault(family, set()).add(key)
    joined = sorted(sorted(keys) for keys in members.values() if len(keys) > 1)
    assert joined == [["train/모던/3", "validation/모던/6"], ["train/펑크/1", "validation/모던/4"]]


def test_the_shipped_split_is_shown_to_leak_names_products_and_clusters(index: PictureIndex) -> None:
    leaks = measure_leaks(index, find_families(index), index.column("split"))
    assert (leaks["learned"], leaks["held_out"], leaks["leaked"]) == (6, 3, 3)
    assert {name: (leaks[name]["shared"], leaks[name]["pictures"]) for name in ("names", "products", "clusters")} == {
        "names": (1, 1),
        "products": (1, 1),
        "clusters": (1, 1),
    }
    assert leaks["clusters"]["examples"] == [["train/모던/3", "validation/모던/6"]]


def test_a_split_never_parts_a_family_and_shares_labels_out_evenly() -> None:
    chance = np.random.default_rng(3)
    families = np.repeat(np.arange(3000), chance.integers(1, 6, 3000))
    labels = chance.choice([0, 1, 2, -1], len(families), p=[0.6, 0.3, 0.05, 0.05])
    shares = {"train": 0.8, "validation": 0.1, "test": 0.1}
    sides = assign_sides(families, labels, shares, seed=0)
    assert len({(family, side) for family, side in zip(families.tolist(), sides, strict=True)}) == 3000
    for number in (0, 1, 2):
        counts = Counter(side for side, value in zip(sides, labels.tolist(), strict=True) if value == number)
        for side, share in shares.items():
            assert abs(counts[side] - share * counts.total()) <= 6
    assert assign_sides(families, labels, shares, seed=0) == sides
    assert assign_sides(families, labels, shares, seed=1) != sides


def test_a_family_that_is_large_for_a_small_side_goes_to_the_large_one() -> None:
    families = np.array([0] * 30 + list(range(1, 71)))
    sides = assign_sides(families, np.zeros(100, np.int64), {"train": 0.8, "validation": 0.2}, seed=5)
    assert sides[0] == "train"
    assert Counter(sides) == {"train": 80, "validation": 20}


def test_split_writes_a_file_whose_sides_an_index_takes(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    report = run("split", str(root), "--out", str(path), "--validation", "0.3", "--test", "0", "--json")
    assert report["shipped"]["leaked"] == 3
    assert report["new"]["products"]["pictures"] == report["new"]["clusters"]["pictures"] == 0
    assert (report["pictures"], report["families"], report["largest_family"]) == (9, 7, 2)
    index = make_index(root, tmp_path / "i.arrow", ReadingOptions(whole=False), untracked)
    split = read_split(path, index)
    assert Counter(split.column("split")) == report["sides"]
    assert split.column("key") == index.column("key")
    path.write_text("key,side\nelsewhere,train\n", "utf-8")
    with pytest.raises(DatasetInvalid, match="none of its pictures"):
        read_split(path, index)
    path.write_text("key,side\ntrain/모던/3,left\n", "utf-8")
    with pytest.raises(DatasetInvalid, match="expected the sides"):
        read_split(path, index)
    path.write_text("name\nx\n", "utf-8")
    with pytest.raises(DatasetInvalid, match="columns key and side"):
        read_split(path, index)


def test_split_writes_a_folder_that_training_reads_and_check_finds_regular(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shown = run("split", str(root), "--out", str(folder), "--validation", "0.3", "--test", "0")
    assert "leaks of the shipped split: 3 of 3" in shown
    recipe, taxonomy = read_recipe(PROJECT / "recipes/training/garments.yaml")
    _, taxonomy = fit_to_dataset(recipe, taxonomy, folder)
    assert "punk" in taxonomy.label_ids
    copied = make_index(folder, tmp_path / "copied.arrow", ReadingOptions(), untracked)
    assert copied.note.irregularities.to_json() == {}
    assert Counter(copied.column("label")) == {"modern": 5, "punk": 2}
    with pytest.raises(DatasetInvalid, match="expected an empty folder"):
        CliRunner().invoke(app, ["dataset", "split", str(root), "--out", str(folder)], catch_exceptions=False)


def test_prepared_pixels_are_those_of_prepare_in_the_order_of_the_index(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "prepared"
    report = run("prepare", str(root), "--out", str(folder), "--size", "32", "--json")
    assert (report["pictures"], report["prepared_now"], report["without_label"]) == (7, 7, 2)
    prepared = PreparedPictures.open(folder)
    assert prepared.pixels.shape == (7, 32, 32, 3)
    assert isinstance(prepared.pixels, np.memmap)
    assert prepared.spec == SPEC
    for number in range(7):
        assert np.array_equal(prepared.pixels[number], prepare(prepared.index.read(number), SPEC).pixels)
    assert run("prepare", str(root), "--out", str(folder), "--size", "32", "--json")["prepared_now"] == 0


def truncate(path: Path, removed: int) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - removed)


@pytest.mark.parametrize(("pixels", "outcomes"), [(3 * 32**2 * 2 + 5, 0), (0, 3), (10**6, 7)])
def test_preparing_continues_after_a_kill_at_any_byte(
    index: PictureIndex, tmp_path: Path, pixels: int, outcomes: int
) -> None:
    folder = tmp_path / "prepared"
    chosen = index.take(index.usable())
    assert prepare_pictures(chosen, folder, SPEC, untracked) == 7
    whole = PreparedPictures.open(folder).pixels.tobytes()
    description = json.loads((folder / "prepared.json").read_text("utf-8"))
    (folder / "prepared.json").write_text(json.dumps(description | {"complete": False}), "utf-8")
    truncate(folder / PIXELS, min(pixels, (folder / PIXELS).stat().st_size))
    truncate(folder / OUTCOMES, outcomes)
    with pytest.raises(DatasetInvalid, match="finished"):
        PreparedPictures.open(folder)
    assert 0 < prepare_pictures(chosen, folder, SPEC, untracked) <= 7
    assert PreparedPictures.open(folder).pixels.tobytes() == whole


def test_a_picture_that_cannot_be_decoded_stays_grey_and_unreadable(root: Path, tmp_path: Path) -> None:
    tree = Tree()
    whole = picture(1, SIZE)
    tree.add("펑크", "1", label(1, "펑크"), whole)
    tree.add("펑크", "2", label(2, "펑크"), whole[: len(whole) // 2])
    index = make_index(tree.write(tmp_path / "other"), tmp_path / "o.arrow", ReadingOptions(whole=False), untracked)
    prepare_pictures(index.take(index.usable()), tmp_path / "prepared", SPEC, untracked)
    prepared = PreparedPictures.open(tmp_path / "prepared")
    assert prepared.index.numbers("readable").tolist() == [True, False]
    assert (prepared.pixels[1] == 127).all()
    assert prepared.index.usable().tolist() == [0]


def test_prepared_pictures_of_another_dataset_or_size_are_never_mixed(index: PictureIndex, tmp_path: Path) -> None:
    folder = tmp_path / "prepared"
    prepare_pictures(index.take([0, 1]), folder, SPEC, untracked)
    for other, spec in ((index.take([0, 2]), SPEC), (index.take([0, 1]), InputSpec(48))):
        with pytest.raises(DatasetInvalid, match="another"):
            prepare_pictures(other, folder, spec, untracked)
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "letter.txt").write_text("mine", "utf-8")
    with pytest.raises(DatasetInvalid, match="expected an empty folder"):
        prepare_pictures(index, folder, SPEC, untracked)
    with pytest.raises(DatasetInvalid, match="expected a folder of prepared pictures"):
        PreparedPictures.open(folder)


def test_check_reports_irregularities_as_a_table_and_as_one_object(root: Path, tmp_path: Path) -> None:
    report = run("check", str(root), "--index", str(tmp_path / "kept.arrow"), "--json")
    assert (report["pictures"], report["labelled"], report["usable"]) == (9, 8, 7)
    assert report["irregularities"] == {
        "not_a_label": 1,
        "original_name": 4,
        "unreadable_picture": 1,
        "in_both_splits": 1,
    }
    assert report["examples"]["in_both_splits"] == ["5.jpg"]
    shown = run("check", str(root), "--index", str(tmp_path / "kept.arrow"))
    assert "unreadable_picture  1" in shown
    assert "9 pictures, 8 with a label of kfashion, 7 of these readable" in shown


def test_a_kept_index_is_made_again_for_other_labels_or_to_decode_pictures(root: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.arrow"
    run("stats", str(root), "--index", str(kept))
    assert not PictureIndex.open(kept).note.whole
    run("check", str(root), "--index", str(kept))
    assert PictureIndex.open(kept).note.whole
    labels = PROJECT / "recipes/training/garments.labels.json"
    report = run("check", str(root), "--index", str(kept), "--labels", str(labels), "--json")
    assert (report["labelled"], report["taxonomy"]) == (0, "garments")
    with pytest.raises(DatasetInvalid, match="has changed"):
        PictureIndex.open(kept, tmp_path)


def test_stats_draws_the_figures(root: Path, tmp_path: Path) -> None:
    shown = run("stats", str(root), "--plots", str(tmp_path / "plots"))
    assert "modern" in shown
    assert "9 pictures of 8 products" in shown
    drawn = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert drawn == ["labels.png", "sizes.png", "sub-labels.png"]
    for name in drawn:
        with Image.open(io.BytesIO((tmp_path / "plots" / name).read_bytes())) as image:
            assert min(image.size) > 100

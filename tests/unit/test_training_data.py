"""The pictures of a training: from every form of a dataset, with its split, its extra sources and its cache."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from classifier.learning.data.cache import PREPARED, DataCache
from classifier.learning.data.choosing import DataChoice, TrainingData, open_training_data
from classifier.learning.data.extras import ExtraSource
from classifier.learning.data.opened import ALL, OpenedDataset, open_pictures
from classifier.learning.data.pictures import Pictures
from classifier.learning.data.prepared import OUTCOMES, PIXELS, prepare_pictures, prepare_row
from classifier.learning.data.reading import ReadingOptions, kfashion_taxonomy, make_index
from classifier.learning.data.sides import SplitChoice
from classifier.learning.data.splitting import find_families, measure_leaks
from classifier.prepare import InputSpec, prepare
from core.errors import DatasetInvalid
from tests.kfashion_tree import VALIDATION, Tree, label, picture

T = TypeVar("T")
TAXONOMY = kfashion_taxonomy()
LEARNED, JUDGED = InputSpec(36), InputSpec(32)
SIZE = (120, 160)


def untracked(values: Iterable[T], _length: int, /) -> Iterable[T]:
    return values


class Watched:
    """A cache of a test, with what it said and the number of pictures that it worked on."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.work: dict[str, int] = {}
        self.cache = DataCache(folder / "home", self._track, self.said.append)

    def _track(self, what: str, iterable: Iterable[T], length: int, /) -> Iterable[T]:
        self.work[what] = length
        return iterable


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def kfashion(folder: Path, *, zips: bool = False, leaks: bool = True) -> Path:
    """Write 40 pictures of 20 products in two styles, and 3 others. A leaking split has products on both sides."""
    tree = Tree()
    for product in range(20):
        style, sub = ("펑크", "힙합") if product % 2 else ("모던", None)
        for shot in (1, 2):
            number = 2 * product + shot
            content = label(number, style, sub, file_name=f"mall_p{product}_{shot}.jpg", size=SIZE)
            side = {"split": VALIDATION} if (shot == 2 if leaks else product >= 16) else {}
            tree.add(style, str(number), content, picture(number, SIZE), **side)
    tree.add("기타", "98", label(98, "기타", size=SIZE), picture(98, SIZE))
    tree.add("모던", "99", label(99, "모던", size=SIZE), b"no picture")
    return tree.write_zips(folder) if zips else tree.write(folder)


def label_folders(folder: Path, sides: dict[str, range]) -> Path:
    """Write pictures in label folders: even numbers are modern, odd ones punk. A side may be empty."""
    for side, numbers in sides.items():
        for number in numbers:
            path = folder / side / ("punk" if number % 2 else "modern") / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(number, SIZE))
    return folder


def opened(watched: Watched, path: Path, *extras: ExtraSource, split: SplitChoice | None = None) -> TrainingData:
    choice = DataChoice(path, split or SplitChoice(), extras)
    return open_training_data(choice, TAXONOMY, LEARNED, JUDGED, watched.cache)


def products(pictures: Pictures) -> set[object]:
    return set(pictures.index.column("product"))


def test_data_of_the_ai_hub_is_split_by_product_because_its_split_leaks(tmp_path: Path, watched: Watched) -> None:
    data = opened(watched, kfashion(tmp_path / "data"))
    assert products(data.training).isdisjoint(products(data.validation))
    assert "The shipped split leaks: 20 of 20 pictures to judge by" in watched.said[0]
    assert len(data.training) + len(data.validation) + data.on_other_sides == 40
    assert data.unlabelled == 1
    shipped = opened(watched, tmp_path / "data", split=SplitChoice(shipped=True))
    assert (len(shipped.training), len(shipped.validation)) == (20, 20)
    assert products(shipped.training) == products(shipped.validation)
    assert [Path(path).name for path in shipped.training.unreadable] == ["99.jpg"]
    assert shipped.hash != data.hash


def test_a_shipped_split_that_does_not_leak_is_used(tmp_path: Path, watched: Watched) -> None:
    data = opened(watched, kfashion(tmp_path / "data", leaks=False))
    assert "The split is the shipped one" in watched.said[0]
    assert (len(data.training), len(data.validation), data.on_other_sides) == (32, 8, 0)


def test_a_split_file_decides_the_sides(tmp_path: Path, watched: Watched) -> None:
    root = kfashion(tmp_path / "data")
    index = make_index(root, tmp_path / "index.arrow", ReadingOptions(), untracked)
    keys = [index.row(int(position)).key for position in index.usable()]
    sides = ["train"] * 30 + ["validation"] * 6 + ["test"] * 4
    rows = "".join(f"{key},{side}\n" for key, side in zip(keys, sides, strict=True))
    (tmp_path / "split.csv").write_text(f"key,side\n{rows}", "utf-8")
    chosen = SplitChoice(tmp_path / "split.csv")
    data = opened(watched, tmp_path / "index.arrow", split=chosen)
    assert (len(data.training), len(data.validation), data.on_other_sides) == (30, 6, 4)
    assert "split.csv" in data.split
    judged = open_pictures(root, TAXONOMY, JUDGED, watched.cache, chosen, "test")
    assert judged.index.column("key") == keys[36:]


def test_zips_folders_and_an_index_give_the_same_data_and_are_decoded_once(tmp_path: Path, watched: Watched) -> None:
    root = kfashion(tmp_path / "folders")
    first = opened(watched, root)
    assert {"preparing train", "preparing validation"} <= watched.work.keys()
    watched.work.clear()
    index = make_index(root, tmp_path / "i.arrow", ReadingOptions(), untracked)
    assert len(index) == 42
    for path in (root, kfashion(tmp_path / "zips", zips=True), tmp_path / "i.arrow"):
        again = opened(watched, path)
        assert again.hash == first.hash, path
        everything = np.arange(len(first.training))
        assert np.array_equal(again.training.read(everything), first.training.read(everything))
    assert not any(what.startswith("preparing") for what in watched.work)
    # The folder was not read again, and the zips were.
    assert watched.work["pictures"] == 42


def test_pixels_of_a_folder_of_prepared_pictures_are_used_where_their_size_fits(
    tmp_path: Path, watched: Watched
) -> None:
    index = make_index(kfashion(tmp_path / "data"), tmp_path / "i.arrow", ReadingOptions(whole=False), untracked)
    prepare_pictures(index.take(index.usable()), tmp_path / "prepared", LEARNED, untracked)
    shipped = SplitChoice(shipped=True)
    data = opened(watched, tmp_path / "prepared", split=shipped)
    # The published answers are to pictures of the size of the judged ones.
    assert watched.work == {"preparing validation": 20, "preparing some of train": 20}
    from_index = opened(watched, tmp_path / "i.arrow", split=shipped)
    assert data.hash == from_index.hash
    assert np.array_equal(data.training.read(np.arange(20)), from_index.training.read(np.arange(20)))


def test_pixels_are_those_of_prepare_row_in_any_order(tmp_path: Path, watched: Watched) -> None:
    data = opened(watched, kfashion(tmp_path / "data"))
    order = np.random.default_rng(1).permutation(len(data.training))[:9]
    for position, pixels in zip(order.tolist(), data.training.read(order), strict=True):
        assert np.array_equal(pixels, prepare_row(data.training.index, position, LEARNED))


def test_an_interrupted_cache_continues_behind_the_last_picture(tmp_path: Path, watched: Watched) -> None:
    root = label_folders(tmp_path / "data", {"train": range(40), "validation": range(100, 104)})
    data = opened(watched, root)
    whole = data.training.read(np.arange(40))
    description = next(
        path
        for path in (watched.cache.folder).glob("*/prepared.json")
        if json.loads(path.read_text("utf-8"))["input"]["size"] == 36
    )
    content = json.loads(description.read_text("utf-8"))
    description.write_text(json.dumps(content | {"complete": False}), "utf-8")
    for name, size in ((PIXELS, 128 + 30 * 36 * 36 * 3 + 5), (OUTCOMES, 31)):
        with (description.parent / name).open("r+b") as file:
            file.truncate(size)
    watched.work.clear()
    again = opened(watched, root)
    assert watched.work == {"preparing train": 10}
    assert any("10 of them now" in sentence for sentence in watched.said)
    assert np.array_equal(again.training.read(np.arange(40)), whole)


def test_a_changed_label_changes_the_hash_and_keeps_the_pixels(tmp_path: Path, watched: Watched) -> None:
    root = label_folders(tmp_path / "data", {"train": range(8), "validation": range(100, 104)})
    first = opened(watched, root)
    (root / "train" / "modern" / "0.jpg").rename(root / "train" / "modern" / "0b.jpg")
    assert opened(watched, root).hash == first.hash
    watched.work.clear()
    (root / "train" / "modern" / "0b.jpg").rename(root / "train" / "punk" / "0b.jpg")
    assert opened(watched, root).hash != first.hash
    assert watched.work["pictures"] == 12


def test_label_folders_keep_their_split_and_a_side_without_pictures_is_refused(
    tmp_path: Path, watched: Watched
) -> None:
    root = label_folders(tmp_path / "data", {"train": range(8), "validation": range(100, 104)})
    (root / "notes.json").write_text("{}", "utf-8")
    data = opened(watched, root)
    assert (len(data.training), len(data.validation)) == (8, 4)
    assert data.split == "The split is that of the dataset."
    shutil.rmtree(root / "validation")
    with pytest.raises(
        DatasetInvalid, match=r"expected pictures in validation; got 8 .* \(train 8, validation 0, test 0\)"
    ):
        opened(watched, root)


def test_label_folders_without_sides_are_split(tmp_path: Path, watched: Watched) -> None:
    data = opened(watched, label_folders(tmp_path / "data", {"": range(40)}))
    assert (len(data.training), len(data.validation), data.on_other_sides) == (32, 4, 4)
    assert "The dataset has no split of its own" in data.split
    everything = open_pictures(tmp_path / "data", TAXONOMY, JUDGED, watched.cache)
    assert len(everything) == 40


def test_extra_sources_only_go_to_the_pictures_to_learn_from_with_their_weight(
    tmp_path: Path, watched: Watched
) -> None:
    root = label_folders(tmp_path / "data", {"train": range(8), "validation": range(100, 104)})
    # The picture 100 again in lower quality, four new pictures, one that cannot be read, one label that is unknown.
    extra = tmp_path / "extra"
    rows = [{"file": f"{n}.jpg", "label": "punk", "kind": "weak", "source": {}} for n in range(5)]
    rows += [
        {"file": "5.jpg", "label": "punk", "kind": "verified"},
        {"file": "6.jpg", "label": "socks", "kind": "weak"},
    ]
    extra.mkdir()
    for number in range(7):
        (extra / f"{number}.jpg").write_bytes(picture(200 + number, SIZE))
    (extra / "0.jpg").write_bytes(picture(100, SIZE, 60))
    (extra / "1.jpg").write_bytes(b"no picture")
    (extra / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    without = opened(watched, root)
    data = opened(watched, root, ExtraSource(extra, 0.25))
    assert data.training.weights.tolist() == [1.0] * 8 + [0.25] * 4
    assert data.training.labels[8:].tolist() == [TAXONOMY.label_ids.index("punk")] * 4
    assert data.validation.index.column("key") == without.validation.index.column("key")
    report = data.to_json()["extra_sources"][0]
    assert report == {
        "name": "extra",
        "weight": 0.25,
        "kinds": {"verified": 1, "weak": 3},
        "leaked": 1,
        "unlabelled": 1,
        "unreadable": 1,
    }
    assert any("1 verified and 3 weak pictures with the weight 0.25" in sentence for sentence in watched.said)
    heavier = opened(watched, root, ExtraSource(extra, 0.5))
    assert len({without.hash, data.hash, heavier.hash}) == 3
    pixels = data.training.read(np.array([8, 0]))
    assert np.array_equal(pixels[1], without.training.read(np.array([0]))[0])
    assert np.array_equal(pixels[0], prepare((extra / "2.jpg").read_bytes(), LEARNED).pixels)


def test_an_extra_picture_of_a_product_to_judge_by_is_left_out(tmp_path: Path, watched: Watched) -> None:
    root = kfashion(tmp_path / "data")
    extra = Tree()
    for shot, product in ((1, "p1"), (2, "new")):
        extra.add("모던", str(shot), label(shot, "모던", file_name=f"mall_{product}_9.jpg"), picture(300 + shot, SIZE))
    data = opened(watched, root, ExtraSource(extra.write(tmp_path / "extra"), 1.0), split=SplitChoice(shipped=True))
    assert (data.extras[0].leaked, data.extras[0].kinds) == (1, {"given": 1})


def test_sub_labels_become_targets(tmp_path: Path, watched: Watched) -> None:
    data = opened(watched, kfashion(tmp_path / "data"), split=SplitChoice(shipped=True))
    found = data.training.sub_labels(np.arange(20), len(TAXONOMY.labels))
    punk = data.training.labels == TAXONOMY.label_ids.index("punk")
    assert data.training.has_sub_labels
    assert found[punk].sum() == 10
    assert (found[punk].argmax(axis=1) == TAXONOMY.label_ids.index("hip-hop")).all()
    assert not found[~punk].any()


def test_data_without_a_label_of_the_model_is_refused_with_the_labels(tmp_path: Path, watched: Watched) -> None:
    other = TAXONOMY.restricted_to(["retro", "hippie"])
    with pytest.raises(DatasetInvalid, match="with a label among retro, hippie; got 42 pictures, none"):
        open_training_data(DataChoice(kfashion(tmp_path / "data")), other, LEARNED, JUDGED, watched.cache)


def test_a_split_that_is_made_now_is_that_of_the_command(tmp_path: Path, watched: Watched) -> None:
    dataset = OpenedDataset.open(kfashion(tmp_path / "data"), TAXONOMY, SplitChoice(), watched.cache)
    leaks = measure_leaks(dataset.index, find_families(dataset.index), dataset.index.column("split"))
    assert leaks["products"]["pictures"] == leaks["clusters"]["pictures"] == 0
    assert len(dataset.positions(ALL)) == 40
    assert (tmp_path / "home" / PREPARED).is_dir()

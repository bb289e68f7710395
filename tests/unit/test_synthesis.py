"""Synthetic K-Fashion: what is drawn, what the files say, and whether the truth file counts what is there."""

from __future__ import annotations

import hashlib
import io
import json
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion
from skimage.draw import polygon2mask
from typer.testing import CliRunner

from classifier.learning.data.irregularities import Irregularity
from classifier.learning.data.reading import kfashion_taxonomy
from classifier.learning.data.synthesis.canvas import Canvas, Frame
from classifier.learning.data.synthesis.cloths import PATTERNS
from classifier.learning.data.synthesis.dataset import ROOT, TRUTH, synthesize
from classifier.learning.data.synthesis.details import DETAILS
from classifier.learning.data.synthesis.figure import pose
from classifier.learning.data.synthesis.outfits import choose_outfit
from classifier.learning.data.synthesis.picture import Drawn, Shot, draw_figure, draw_shot, find_garments
from classifier.learning.data.synthesis.plan import LEAST_PICTURES, Options, Planner, label_counts
from classifier.learning.data.synthesis.scenes import Format
from classifier.learning.data.synthesis.styles import STYLES, mates
from classifier.learning.data.synthesis.wardrobe import WARDROBE, Slot
from cli.main import app
from core.errors import DatasetInvalid

T = TypeVar("T")

TAXONOMY = kfashion_taxonomy()
IRREGULAR = Options(
    pictures=140, seed=5, imbalance=0.4, leaks=0.2, size=64, irregularities=dict.fromkeys(Irregularity, 2)
)
STYLE_IDS = [style.id for style in STYLES]


def silent(iterable: Iterable[T], _: int, /) -> Iterable[T]:
    return iterable


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A dataset with all irregularities, and its truth."""
    folder = tmp_path_factory.mktemp("synthetic") / "tree"
    return folder, synthesize(folder, IRREGULAR, TAXONOMY, silent, processes=1)


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The same dataset in zips."""
    folder = tmp_path_factory.mktemp("synthetic") / "zipped"
    return folder, synthesize(folder, IRREGULAR, TAXONOMY, silent, zips=True, processes=1)


def a_shot(style: str, number: int = 0, **changes: Any) -> Shot:
    values = {"main": style, "sub": None, "format": Format.STUDIO, "hue": 0.3, "difficulty": 0.0, "size": 80}
    return Shot(seed=1, product=STYLE_IDS.index(style) * 100 + number, number=0, **(values | changes))


def pixels_of(drawn: Drawn) -> NDArray[np.int16]:
    return np.asarray(Image.open(io.BytesIO(drawn.data)).convert("RGB"), np.int16)


def garment_mask(drawn: Drawn) -> NDArray[np.bool_]:
    mask = np.zeros((drawn.height, drawn.width), bool)
    for polygon in (polygon for garment in drawn.garments for polygon in garment.polygons):
        mask |= polygon2mask(mask.shape, np.array(polygon)[:, ::-1])
    return mask


def test_the_drawn_styles_and_their_groups_are_those_of_the_taxonomy() -> None:
    assert {style.id: style.group for style in STYLES} == {label.id: label.group for label in TAXONOMY.labels}
    assert {len(mates(style)) for style in STYLES} == {0, 1, 2, 3}


def test_the_same_options_give_the_same_bytes_with_any_number_of_processes(
    tree: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    again = synthesize(tmp_path / "again", IRREGULAR, TAXONOMY, silent, processes=2)
    assert again == tree[1]
    assert digests(tmp_path / "again") == digests(tree[0])


def test_zips_have_the_files_of_the_folders_and_repeat_their_bytes(
    tree: tuple[Path, dict[str, Any]], zipped: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    synthesize(tmp_path / "again", IRREGULAR, TAXONOMY, silent, zips=True, processes=1)
    assert digests(tmp_path / "again") == digests(zipped[0])
    unpacked = tmp_path / "unpacked"
    for path in zipped[0].rglob("*데이터*.zip"):
        with zipfile.ZipFile(path) as packed:
            packed.extractall(unpacked / path.relative_to(zipped[0]).with_suffix(""))
    beside = {TRUTH, *tree[1]["stray_files"]}
    assert digests(unpacked) == {name: digest for name, digest in digests(tree[0]).items() if name not in beside}


def test_another_seed_draws_other_pictures() -> None:
    assert draw_shot(a_shot("punk")).data != draw_shot(a_shot("punk", 1)).data


@pytest.mark.parametrize("style", STYLE_IDS)
def test_garments_and_not_the_ground_fill_the_polygons(style: str) -> None:
    inside, outside = [], []
    for number in range(3):
        # Only the tint of the wall differs between the two pictures.
        walls = (a_shot(style, number, format=Format.MIRROR, hue=hue, size=160) for hue in (0.0, 0.5))
        first, second = map(draw_shot, walls)
        differs = np.abs(pixels_of(first) - pixels_of(second)).max(axis=2) > 12
        mask = garment_mask(first)
        assert first.garments == second.garments
        assert mask.mean() > 0.05
        # JPEG mixes the colours of the edge with those of the ground.
        inside += differs[binary_erosion(mask, iterations=3)].tolist()
        outside += differs[~mask].tolist()
    assert np.mean(outside) > 0.1
    # A polygon has no holes, so the gap between a bent arm and the body is inside it.
    assert np.mean(inside) < 0.06


@pytest.mark.parametrize("style", STYLE_IDS)
def test_polygons_and_boxes_outline_the_pixels_of_their_garment(style: str) -> None:
    random = np.random.default_rng(4)
    outfit = choose_outfit(random, style, None, 0)
    canvas = Canvas(Image.new("RGB", (220, 300)), Frame(0.27, 110, 10), random)
    draw_figure(canvas, pose(random, phone=False), outfit, phone=False)
    owners = np.asarray(canvas.owners)
    seen = find_garments(owners, outfit, [None] * len(outfit.garments))
    assert {garment.dressed for garment in seen} <= set(outfit.garments)
    for garment in seen:
        own = owners == outfit.garments.index(garment.dressed) + 1
        inside = np.zeros_like(own)
        for polygon in garment.polygons:
            inside |= polygon2mask(own.shape, np.array(polygon)[:, ::-1])
        left, top, width, height = garment.box
        assert own[inside].mean() > 0.6, garment
        assert inside[own].mean() > 0.75, garment
        assert inside[top : top + height, left : left + width].sum() == inside.sum()


def test_colours_of_garments_tell_the_styles_at_difficulty_0_and_hardly_at_1() -> None:
    easy, hard = (histogram_accuracy(difficulty) for difficulty in (0.0, 1.0))
    assert easy > 0.85
    assert hard < 0.4


def histogram_accuracy(difficulty: float) -> float:
    """Return the share of pictures whose nearest neighbour, by the colours of its garments, has the same style."""
    learned, unseen = (
        np.array(
            [colour_histogram(a_shot(style, number, difficulty=difficulty)) for style in STYLE_IDS for number in of]
        )
        for of in (range(5), range(50, 52))
    )
    nearest = (unseen @ learned.T).argmax(axis=1) // 5
    return float((nearest == np.arange(len(unseen)) // 2).mean())


def colour_histogram(shot: Shot) -> NDArray[np.float64]:
    drawn = draw_shot(shot)
    colours = pixels_of(drawn)[garment_mask(drawn)]
    counts = np.histogramdd(colours, bins=(6, 6, 6), range=[(0, 256)] * 3)[0].ravel()
    return np.asarray(np.sqrt(counts / counts.sum()))


def test_a_hybrid_outfit_has_garments_of_both_styles() -> None:
    worn = [
        {dressed.style for dressed in choose_outfit(np.random.default_rng(seed), "classic", "punk", 0).garments}
        for seed in range(20)
    ]
    assert all("punk" in styles for styles in worn)
    assert sum("classic" in styles for styles in worn) > 15


def test_a_near_duplicate_is_the_same_shot_in_another_crop_and_light() -> None:
    shot, copy = (pixels_of(draw_shot(a_shot("classic", copy=copy, size=200))) for copy in (0, 1))
    other = pixels_of(draw_shot(a_shot("classic", 1, size=200)))

    def small(pixels: NDArray[np.int16]) -> NDArray[np.float64]:
        return np.asarray(Image.fromarray(pixels.astype(np.uint8)).convert("L").resize((16, 16)), float)

    assert copy.shape != shot.shape
    assert np.abs(small(copy) - small(shot)).mean() < 0.6 * np.abs(small(other) - small(shot)).mean()


def test_counts_follow_the_real_set_with_a_floor() -> None:
    counts = label_counts(Options(pictures=20_000))
    assert sum(counts.values()) == 20_000
    assert counts["street"] / 20_000 == pytest.approx(0.4645, abs=0.001)
    assert counts["punk"] == 8
    assert min(label_counts(Options(pictures=300)).values()) == LEAST_PICTURES
    even = label_counts(Options(pictures=300, imbalance=0)).values()
    assert (sum(even), max(even) - min(even)) == (300, 1)


def test_too_few_pictures_for_the_labels_or_the_irregularities_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match="expected at least 69 pictures"):
        label_counts(Options(pictures=68))
    with pytest.raises(DatasetInvalid, match="too few for another zero_area_box"):
        synthesize(
            tmp_path / "out",
            Options(pictures=69, irregularities={Irregularity.ZERO_AREA_BOX: 70}),
            TAXONOMY,
            silent,
        )


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DatasetInvalid, match="expected a folder that is empty"):
        synthesize(tmp_path, Options(), TAXONOMY, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_truth_lists_every_file_and_no_other(tree: tuple[Path, dict[str, Any]]) -> None:
    folder, truth = tree
    assert json.loads((folder / TRUTH).read_text("utf-8")) == truth
    listed = [row[kind] for row in truth["rows"] for kind in ("picture", "label_file") if row[kind]]
    assert len(listed) == len(set(listed))
    assert {*listed, *truth["stray_files"], TRUTH} == digests(folder).keys()
    pictures = [name for name in listed if name.lower().endswith(".jpg")]
    assert truth["pictures"] == len(pictures) == 140 + 4 * 2
    assert "no real picture" in truth["note"]


def test_the_truth_counts_labels_as_the_files_name_them(tree: tuple[Path, dict[str, Any]]) -> None:
    folder, truth = tree
    labels = {label.names["ko"]: label.id for label in TAXONOMY.labels}
    labels |= {alias: label.id for label in TAXONOMY.labels for alias in label.aliases}
    found = Counter[tuple[str | None, str]]()
    for row in truth["rows"]:
        if row["picture"] is not None:
            label = labels.get(style_in(folder, row) or Path(row["picture"]).parent.name)
            assert label == row["label"], row
            found[label, row["split"]] += 1
    named = {(label, split): count for label, by in truth["labels"].items() for split, count in by.items()}
    assert {key: count for key, count in found.items() if key[0]} == {
        key: count for key, count in named.items() if count
    }
    assert truth["labelled"] == sum(named.values())


def style_in(folder: Path, row: dict[str, Any]) -> str | None:
    """Return the style in a label file, or None if there is no file or no style."""
    if row["label_file"] is None or row["irregularity"] == "invalid_label_file":
        return None
    content = json.loads((folder / row["label_file"]).read_text("utf-8-sig"))
    styles = content["데이터셋 정보"]["데이터셋 상세설명"]["라벨링"].get("스타일", [{}])
    style: str | None = styles[0].get("스타일")
    return style


def test_every_irregularity_can_be_planted_and_is_in_the_files(tree: tuple[Path, dict[str, Any]]) -> None:
    folder, truth = tree
    assert truth["irregularities"].keys() == {kind.value for kind in Irregularity}
    rows = {row["irregularity"]: row for row in truth["rows"] if row["irregularity"]}
    names = [path.name for path in (folder / ROOT).rglob("*")]
    assert sum(name.endswith(".JPG") for name in names) == 2
    assert sum(not unicodedata.is_normalized("NFC", name) for name in names) == 2
    with pytest.raises(json.JSONDecodeError):
        json.loads((folder / rows["invalid_label_file"]["label_file"]).read_text("utf-8", "replace"))
    assert (folder / rows["byte_order_mark"]["label_file"]).read_bytes().startswith(b"\xef\xbb\xbf")
    for row in truth["rows"]:
        if row["irregularity"] == "unreadable_picture":
            with pytest.raises(OSError), Image.open(folder / row["picture"]) as image:  # noqa: PT011
                image.load()


@pytest.mark.parametrize("form", ["tree", "zipped"])
def test_check_reports_exactly_what_the_truth_says(form: str, request: pytest.FixtureRequest) -> None:
    folder, truth = request.getfixturevalue(form)
    ran = CliRunner().invoke(app, ["dataset", "check", str(folder), "--json"])
    assert ran.exit_code == 0, ran.output
    report = json.loads(ran.stdout)
    assert report["irregularities"] == truth["irregularities"]
    assert {name: report[name] for name in ("pictures", "labelled")} == {
        name: truth[name] for name in ("pictures", "labelled")
    }


def test_leaks_have_their_file_or_their_product_in_training(tree: tuple[Path, dict[str, Any]]) -> None:
    folder, truth = tree
    training = [row for row in truth["rows"] if row["split"] == "Training" and row["picture"]]
    names = {Path(row["picture"]).name: row["picture"] for row in training}
    leaks = [row for row in truth["rows"] if row["leak"]]
    assert Counter(row["leak"] for row in leaks) == truth["leaks"]
    assert truth["leaks"].keys() == {"same_file", "same_product"}
    for row in leaks:
        assert row["product"] in {other["product"] for other in training}
        if row["leak"] == "same_file":
            twin = names[Path(row["picture"]).name]
            assert (folder / twin).read_bytes() == (folder / row["picture"]).read_bytes()
    others = {row["product"] for row in truth["rows"] if row["split"] == "Validation" and not row["leak"]}
    leaked = {row["product"] for row in leaks}
    assert (others - leaked) & {row["product"] for row in training} == set()


def test_a_shortcut_ties_shop_and_format_to_the_label() -> None:
    def formats(shortcut: float) -> dict[str | None, set[tuple[str, Format]]]:
        planned = Planner(Options(pictures=460, imbalance=0, leaks=0, shortcut=shortcut), TAXONOMY).plan()
        found: dict[str | None, set[tuple[str, Format]]] = {}
        for picture in planned:
            found.setdefault(picture.label, set()).add((picture.mall, picture.shot.format))
        return found

    assert {len(kinds) for kinds in formats(1).values()} == {1}
    assert min(len(kinds) for kinds in formats(0).values()) > 3


def test_label_files_have_the_keys_of_the_ai_hub(tree: tuple[Path, dict[str, Any]]) -> None:
    folder, truth = tree
    row = next(row for row in truth["rows"] if not row["irregularity"] and row["sub_label"])
    content = json.loads((folder / row["label_file"]).read_text("utf-8"))
    assert content["이미지 정보"].keys() == {"이미지 식별자", "이미지 높이", "이미지 파일명", "이미지 너비"}
    assert content["데이터셋 정보"].keys() == {"파일 생성일자", "데이터셋 상세설명", "파일 번호", "파일 이름"}
    details = content["데이터셋 정보"]["데이터셋 상세설명"]
    assert details.keys() == {"렉트좌표", "폴리곤좌표", "라벨링"}
    assert details["라벨링"]["스타일"][0].keys() == {"스타일", "서브스타일"}
    with Image.open(folder / row["picture"]) as image:
        assert image.size == (content["이미지 정보"]["이미지 너비"], content["이미지 정보"]["이미지 높이"])
    for slot in Slot:
        for box in filter(None, details["렉트좌표"][slot]):
            assert box.keys() == {"X좌표", "Y좌표", "가로", "세로"}
        for polygon in filter(None, details["폴리곤좌표"][slot]):
            count = len(polygon) // 2
            assert polygon.keys() == {f"{axis}좌표{k}" for axis in "XY" for k in range(1, count + 1)}
            assert list(polygon) != sorted(polygon)


def test_every_garment_detail_and_pattern_is_used() -> None:
    worn = {name for style in STYLES for look in style.looks for name in look}
    assert worn == WARDROBE.keys()
    assert {detail for name in worn for detail in WARDROBE[name].details} == DETAILS.keys()
    fabrics = {fabric.pattern for style in STYLES for fabric in (*style.loud, *style.quiet)}
    assert fabrics | {WARDROBE[name].pattern for name in worn} == {*PATTERNS, ""}


def test_the_command_prints_the_counts_and_stats_finds_as_many_products(tmp_path: Path) -> None:
    options = ["--pictures", "69", "--size", "48", "--irregularities", "byte_order_mark=2", "--leaks", "0"]
    ran = CliRunner().invoke(app, ["dataset", "synthesize", "--out", str(tmp_path / "out"), *options, "--json"])
    assert ran.exit_code == 0, ran.output
    printed = json.loads(ran.stdout)
    assert printed["pictures"] == 69
    assert printed["irregularities"] == {"byte_order_mark": 2}
    stats = CliRunner().invoke(app, ["dataset", "stats", str(tmp_path / "out"), "--json"])
    assert json.loads(stats.stdout)["products"] == printed["products"]
    refused = CliRunner().invoke(
        app, ["dataset", "synthesize", "--out", str(tmp_path / "no"), "--irregularities", "x=1"]
    )
    assert refused.exit_code == 2
    assert "kind=count" in refused.output

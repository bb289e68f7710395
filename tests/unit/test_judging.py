"""Robustness, shortcuts and comparisons, with models that read colours, so that the right figures are known."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from classifier.learning.data.garment_rows import one_row_per_garment
from classifier.learning.data.index import PictureIndex
from classifier.learning.data.reading import ReadingOptions, make_index
from classifier.learning.data.synthesis.scenes import Format, draw_scene
from classifier.learning.judging.comparison import compare_answers
from classifier.learning.judging.robustness import measure_robustness
from classifier.learning.judging.shooting_formats import ShootingFormat, shooting_format
from classifier.learning.judging.shortcuts import examine, examine_some, shop_of
from classifier.prepare import InputSpec
from classifier.runtime import Answers, RuntimeName
from classifier.taxonomy import Group, Label, Taxonomy
from cli.main import app
from tests.answering import JOB_OVER, Reply, answering

T = TypeVar("T")
SIDE = 32
SPEC = InputSpec(SIDE)
SOURCE = "url page_url title price currency alt category query label rank product_url rule"
COLOURS = ((220, 30, 30), (30, 220, 30), (30, 30, 220))
LABELS = ("red", "green", "blue")
TAXONOMY = Taxonomy("colours", "1", (Group("all", {}),), tuple(Label(name, "all", {}) for name in LABELS))


def track(iterable: Iterable[T], _length: int, /) -> Iterable[T]:
    return iterable


class ColourRuntime:
    """Answers with the strongest channel of one region. A grey region gets the first label."""

    name: RuntimeName = "openvino"
    device, precision, batch_sizes, shape, slots, has_express_slot = "CPU", "f32", (1, 8), SPEC.shape, 1, False

    def __init__(self, region: Literal["middle", "border", "left"]) -> None:
        self.region = region

    def infer(self, batch: NDArray[np.uint8], *, lone: bool = False) -> Answers:
        parts = {
            "middle": batch[:, 12:20, 12:20],
            "border": batch[:, :, :4],
            "left": batch[:, :, : SIDE // 2],
        }
        sums = parts[self.region].sum(axis=(1, 2), dtype=np.int64)
        return Answers(np.eye(3, dtype=np.float32)[sums.argmax(axis=1)])

    def activation_maps(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise NotImplementedError

    def close(self) -> None:
        pass


def write_kfashion(folder: Path, *, planted: bool) -> PictureIndex:
    """Write pictures whose garment, in the middle, has the colour of the label. If `planted`, the ground has it."""
    random = np.random.default_rng(0)
    words = {label: f"style-{label}" for label in LABELS}
    taxonomy = Taxonomy("colours", "1", (Group("all", {}),), tuple(Label(words[name], "all", {}) for name in LABELS))
    for number in range(90):
        label = number % 3
        ground = label if planted else int(random.integers(3))
        pixels = np.full((SIDE, SIDE, 3), COLOURS[ground], np.uint8)
        pixels[10:22, 10:22] = COLOURS[label]
        name, word = f"mall{ground}_{number}_1", words[LABELS[label]]
        for part in ("원천데이터", "라벨링데이터"):
            (folder / "Training" / part / word).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / "Training" / "원천데이터" / word / f"{name}.png")
        box = {"X좌표": 10, "Y좌표": 10, "가로": 12, "세로": 12}
        content = {
            "이미지 정보": {"이미지 식별자": number, "이미지 높이": SIDE, "이미지 너비": SIDE, "이미지 파일명": name},
            "데이터셋 정보": {
                "데이터셋 상세설명": {
                    "렉트좌표": {"상의": [box], "하의": [{}], "아우터": [{}], "원피스": [{}]},
                    "라벨링": {"스타일": [{"스타일": word}]},
                }
            },
        }
        path = folder / "Training" / "라벨링데이터" / word / f"{name}.json"
        path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    return make_index(folder, folder.parent / f"{folder.name}.arrow", ReadingOptions(taxonomy), track)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> PictureIndex:
    return write_kfashion(tmp_path_factory.mktemp("planted") / "data", planted=True)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> PictureIndex:
    return write_kfashion(tmp_path_factory.mktemp("plain") / "data", planted=False)


def test_a_model_that_reads_the_background_is_found_where_the_background_tells_the_label(planted: PictureIndex) -> None:
    report = examine(ColourRuntime("border"), planted, SPEC, track)
    parts = {part.name: part for part in report.parts}
    assert parts["garments hidden"].accuracy == 1.0
    assert parts["only the garments"].accuracy == pytest.approx(1 / 3)
    first, second, *others = report.verdicts()
    assert first.startswith("Without seeing the garments, the model gets 100% right")
    assert first.endswith("it has learned something besides the garments, such as the background.")
    assert "it loses 67 points without the surroundings" in second
    assert any("the shop alone tells the label of 100% of the pictures (chance is 33%)" in each for each in others)


def test_a_model_that_reads_the_garment_is_cleared_even_where_the_background_tells_the_label(
    planted: PictureIndex, plain: PictureIndex
) -> None:
    for index in (planted, plain):
        report = examine(ColourRuntime("middle"), index, SPEC, track)
        parts = {part.name: part for part in report.parts}
        assert parts["whole pictures"].accuracy == parts["only the garments"].accuracy == 1.0
        assert not parts["garments hidden"].is_above_chance
        assert "no sign that it uses the background" in report.verdicts()[0]
        assert "the garments are enough" in report.verdicts()[1]


def test_a_background_that_tells_nothing_is_no_shortcut(plain: PictureIndex) -> None:
    report = examine(ColourRuntime("border"), plain, SPEC, track)
    assert not report.parts[1].is_above_chance
    assert report.shop_tells is not None
    assert not report.shop_tells.is_telling
    assert len(report.shops) == 3


def test_a_card_gets_the_report_only_if_the_dataset_says_where_the_garments_are(
    plain: PictureIndex, tmp_path: Path
) -> None:
    report = examine_some(ColourRuntime("middle"), plain, SPEC)
    assert report is not None
    assert report.parts[0].pictures == 90
    (tmp_path / "data" / "red").mkdir(parents=True)
    Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "data" / "red" / "1.png")
    folders = make_index(tmp_path / "data", tmp_path / "index.arrow", ReadingOptions(TAXONOMY), track)
    assert examine_some(ColourRuntime("middle"), folders, SPEC) is None


def test_a_model_that_is_no_better_than_chance_is_not_accused_of_anything(plain: PictureIndex) -> None:
    report = examine(ColourRuntime("border"), plain, SPEC, track)
    assert len(report.verdicts()) == 1
    assert "no better than chance (33%)" in report.verdicts()[0]


@pytest.mark.parametrize(
    ("product", "shop"),
    [("mall_10000", "mall"), ("https://shop.example/p/1", "shop.example"), ("10000", None), ("_1", None), ("", None)],
)
def test_the_shop_of_a_product_is_read_from_its_name_or_its_url(product: str, shop: str | None) -> None:
    assert shop_of(product) == shop


def test_drawn_scenes_are_told_apart_by_their_borders() -> None:
    random = np.random.default_rng(0)
    right = 0
    for kind in Format:
        for _ in range(20):
            scene = draw_scene((165, 224), kind, float(random.random()), random)
            right += shooting_format(np.asarray(scene)) == ShootingFormat(kind.value)
    assert right >= 54, right


def test_robustness_counts_the_labels_that_a_change_of_the_picture_changes(plain: PictureIndex, tmp_path: Path) -> None:
    found = measure_robustness(ColourRuntime("middle"), plain, SPEC, track)
    assert {name: row["changed"] for name, row in found.items()} == dict.fromkeys(found, 0.0)
    assert all(row["pictures"] == 90 and row["accuracy"] == 1.0 for row in found.values())
    for number in range(6):
        halves = np.full((SIDE, SIDE, 3), COLOURS[0], np.uint8)
        halves[:, SIDE // 2 :] = COLOURS[1]
        (tmp_path / "data" / "red").mkdir(parents=True, exist_ok=True)
        Image.fromarray(halves).save(tmp_path / "data" / "red" / f"{number}.png")
    index = make_index(tmp_path / "data", tmp_path / "index.arrow", ReadingOptions(TAXONOMY), track)
    one_sided = measure_robustness(ColourRuntime("left"), index, SPEC, track)
    assert (one_sided["unchanged"]["accuracy"], one_sided["mirrored"]["accuracy"]) == (1.0, 0.0)
    assert one_sided["mirrored"]["changed"] == 1.0
    assert one_sided["JPEG quality 20"]["changed"] == 0.0


def test_mcnemars_test_counts_only_the_pictures_that_one_model_alone_gets_right() -> None:
    labels = np.zeros(40, np.int64)
    right, wrong = np.eye(3, dtype=np.float32)[[0, 1]]
    first = np.stack([right] * 30 + [wrong] * 10)
    second = np.stack([right] * 28 + [wrong] * 2 + [right] * 8 + [wrong] * 2)
    found = compare_answers(first, second, labels)
    assert (found.only_first_right, found.only_second_right) == (2, 8)
    assert found.changed == (28, 29, *range(30, 38))
    # Twice the chance of at most 2 heads in 10 throws of a coin: 2 (1 + 10 + 45) / 1024.
    assert found.p_value == pytest.approx(112 / 1024)
    assert compare_answers(first, first, labels).p_value == 1.0


def item(number: int, scores: dict[str, float], review: str | None) -> dict[str, Any]:
    label = {"id": max(scores, key=scores.__getitem__), "name": "", "group": "all"}
    reviewed = None if review is None else {"id": review, "name": "", "group": "all"}
    ranked = [{"id": name, "score": score} for name, score in scores.items()]
    return {
        "id": f"item_{number}",
        "job_id": "job_1",
        "custom_id": None,
        "regions": [],
        "position": number,
        "status": "succeeded",
        "source": dict.fromkeys(SOURCE.split()) | {"name": f"{number}.jpg"},
        "image": None,
        "crop": None,
        "metadata": {},
        "duplicate_of": None,
        "prediction": {
            "label": label,
            "confidence": max(scores.values()),
            "labels": ranked,
            "groups": [],
            "model": "garments@2",
            "reused": False,
        },
        "review": {
            "label": reviewed,
            "rejected": reviewed is None,
            "by": None,
            "created_at": "2026-01-31T12:00:00.000Z",
            "updated_at": "2026-01-31T12:00:00.000Z",
        },
        "error": None,
    }


def test_a_job_is_judged_by_its_reviews_and_the_bias_is_stated() -> None:
    names = {"en": "", "ko": ""}
    labels = {
        "model": "garments@2",
        "groups": [{"id": "all", "name": "", "names": names}],
        "labels": [{"id": name, "name": "", "group": "all", "names": names} for name in LABELS],
    }
    items = [
        item(0, {"red": 0.9, "blue": 0.1}, "red"),
        item(1, {"red": 0.6, "green": 0.3}, "green"),
        item(2, {"blue": 0.8, "green": 0.2}, "blue"),
        item(3, {"blue": 0.5, "green": 0.4}, None),
        item(4, {"blue": 0.5, "green": 0.4}, "mauve"),
    ]
    replies = (Reply(200, {"status": "ok"}), Reply(200, JOB_OVER), Reply(200, labels))
    pages = Reply(200, {"data": items, "next_cursor": None})
    with answering(*replies, pages) as server:
        arguments = ["evaluate", "--job", "job_1", "--url", server.url, "--json"]
        done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    found = json.loads(done.stdout)
    assert (found["pictures"], found["accuracy"], found["recall_at_3"]) == (3, pytest.approx(2 / 3), 1.0)
    assert found["sample"] | {"note": ""} == {
        "model": "garments@2",
        "items": 2,
        "reviewed": 5,
        "rejected": 1,
        "other_labels": 1,
        "note": "",
    }
    assert found["sample"]["note"].startswith("Reviewed items are a biased sample unless they were drawn at random")


@pytest.mark.parametrize("arguments", [["evaluate"], ["evaluate", "folder", "--job", "job_1"]])
def test_evaluate_takes_either_a_dataset_or_a_job(arguments: list[str]) -> None:
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 2
    assert "expected either a dataset or --job" in refused.output


def test_the_parts_of_a_garment_are_hidden_and_cropped_where_a_model_sees_single_garments(
    planted: PictureIndex,
) -> None:
    spec = InputSpec(SIDE, view="garment")
    report = examine(ColourRuntime("border"), one_row_per_garment(planted), spec, track)
    parts = {part.name: part for part in report.parts}
    # The garment fills the input, also at its border, and nothing is left of it once it is hidden.
    assert parts["whole pictures"].accuracy == parts["only the garments"].accuracy == 1.0
    assert parts["garments hidden"].accuracy == pytest.approx(1 / 3)
    found = measure_robustness(ColourRuntime("border"), one_row_per_garment(planted), spec, track)
    assert found["middle 80%"]["accuracy"] == 1.0

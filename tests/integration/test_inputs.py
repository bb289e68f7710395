"""Inputs other than whole pictures, from the dataset to the answers of a worker."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from typer.testing import CliRunner

from classifier.artifact import INPUT, MANIFEST, Artifact
from classifier.garments import Box, Polygon
from classifier.learning.data.cache import DataCache
from classifier.learning.data.garment_rows import one_row_per_garment
from classifier.learning.data.opened import open_pictures
from classifier.learning.data.prepared import prepare_row
from classifier.learning.data.reading import ReadingOptions, kfashion_taxonomy, make_index
from classifier.learning.training.recipe import read_recipe
from classifier.prepare import PADDING, VIEW_COUNT, InputSpec, View, prepare
from classifier.runtime import predict
from classifier.runtimes import open_runtime
from classifier.segmenting import SegmenterFile
from classifier.taxonomy import Group, Label, Taxonomy
from cli.main import app
from core.errors import ArtifactInvalid, DatasetInvalid
from core.item_errors import ItemError, TooMuchMemory
from core.settings import PROJECT
from core.types import Crop
from db.blobs.local import LocalBlobStore
from tests.conftest import SAMPLES
from tests.integration.test_decoders import huge_picture
from tests.kfashion_tree import GARMENTS, VALIDATION, Tree, box, label, picture, polygon
from tests.onnx_files import write_pointwise
from worker.decoding.decoder import DecoderLimits
from worker.decoding.pool import DecodedPicture, DecoderPool

RECIPES = PROJECT / "recipes" / "training"
SIDE = 32
COLOURS = np.array([[0.3, 0.3, 0.3], [1.5, -0.5, -0.5], [-0.5, -0.5, 1.5]], np.float32)
"""Weights of a segmenter with three channels: background, reddish and bluish."""


@pytest.fixture
def segmenter(tmp_path: Path) -> SegmenterFile:
    path = write_pointwise(tmp_path / "colours.onnx", COLOURS, 32)
    return SegmenterFile.of(path, {"top": (1,), "bottom": (2,)})


def served(
    decoders: DecoderPool, store: LocalBlobStore, files: list[bytes], spec: InputSpec
) -> list[bytes | ItemError]:
    """Return the pixels of files as a worker decodes them."""
    results: list[bytes | ItemError] = []
    for call in decoders.decode([(store.put(data), "") for data in files], spec, "job", interactive=False):
        for _, found in call:
            if isinstance(found, DecodedPicture):
                results.append(found.pixels.tobytes())
                found.release()
            else:
                results.append(found)
    return results


def test_training_and_serving_prepare_every_view_of_the_same_bytes_to_the_same_pixels(
    tmp_path: Path, segmenter: SegmenterFile
) -> None:
    """The decoders have little memory for pictures. Room for the segmenter comes on top, and not for huge pictures."""
    store, files = LocalBlobStore(tmp_path / "blobs"), [path.read_bytes() for path in sorted(SAMPLES.iterdir())]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dress").symlink_to(SAMPLES)
    taxonomy = Taxonomy("labels", "1", (Group("all", {}),), (Label("dress", "all", {}),))
    cache = DataCache(tmp_path / "home", lambda _what, iterable, _length, /: iterable, lambda _sentence: None)
    size = InputSpec(SIDE, view="views").byte_count
    decoders = DecoderPool(store, 1, DecoderLimits(30, 300 * 2**20), 32, size)
    changed = 0
    views: tuple[View, ...] = ("crop", "mask", "views", "garment")
    for view in views:
        spec = InputSpec(SIDE, view=view, segmenter=segmenter)
        learned = open_pictures(tmp_path / "data", taxonomy, spec, cache)
        pixels = served(decoders, store, files, spec)
        assert sorted(map(str, pixels)) == sorted(str(each.tobytes()) for block in learned.blocks() for each in block)
        whole = {prepare(data, InputSpec(SIDE)).pixels.tobytes() for data in files}
        changed += len(set(pixels) - whole)
    assert changed > 2 * len(files)
    huge, good = served(decoders, store, [huge_picture(), files[0]], InputSpec(SIDE, view="crop", segmenter=segmenter))
    assert isinstance(huge, TooMuchMemory)
    assert isinstance(good, bytes)
    decoders.close()


def small_tree(pictures: int = 12) -> Tree:
    """Return pictures of two styles with a top and a bottom each. Every sixth is on the side to judge by."""
    tree = Tree()
    _, bottom, _, top = GARMENTS
    for number in range(pictures):
        style = "스트리트" if number % 2 else "로맨틱"
        boxes = {top: [box(20, 10, 50, 50)], bottom: [box(25, 60, 40, 60), box(500, 1, 5, 5)]}
        polygons = {top: [polygon((20, 10), (70, 10), (70, 60), (20, 60))]}
        content = label(number, style, file_name=f"mall_p{number}_1.jpg", boxes=boxes, polygons=polygons)
        tree.add(style, str(number), content, picture(number), split=VALIDATION if number % 6 < 2 else "Training")
    return tree


def test_each_garment_box_becomes_a_picture_with_the_label_of_its_picture(tmp_path: Path) -> None:
    tree = small_tree(2)
    tree.add("로맨틱", "bare", label("bare", "로맨틱"), picture(9))
    root = tree.write(tmp_path / "data")
    index = make_index(root, tmp_path / "i.arrow", ReadingOptions(), lambda values, _length, /: values)
    rows = list(map((garments := one_row_per_garment(index)).row, range(len(garments))))
    assert len({row.key for row in rows}) == len(rows) == 5
    assert sorted(row.label or "" for row in rows) == ["romantic", "romantic", "romantic", "street", "street"]
    assert [len(row.boxes) for row in rows if "bare" in row.key] == [0]
    assert not any(row.polygons for row in rows)
    spec = InputSpec(SIDE, view="garment")
    for position, row in enumerate(rows):
        (only,) = row.boxes or (None,)
        crop = None if only is None else Crop(int(only.x), int(only.y), int(only.width), int(only.height))
        expected = prepare(garments.read(position), spec, crop).pixels
        np.testing.assert_array_equal(prepare_row(garments, position, spec), expected)


def test_garments_of_an_index_reach_the_pixels(tmp_path: Path) -> None:
    root = small_tree(2).write(tmp_path / "data")
    index = make_index(root, tmp_path / "i.arrow", ReadingOptions(), lambda values, _length, /: values)
    assert {type(shape) for shape in (*index.row(0).boxes, *index.row(0).polygons)} == {Box, Polygon}
    masked = prepare_row(index, 0, InputSpec(SIDE, view="mask"))
    assert 0.3 < grey(masked) < grey(np.full_like(masked, PADDING)) == 1.0
    views = prepare_row(index, 0, InputSpec(SIDE, view="views"))
    assert [grey(view) < 1.0 for view in views] == [True, False, True, False, True]


def grey(pixels: NDArray[np.uint8]) -> float:
    return float((pixels == PADDING).all(axis=-1).mean())


def write_recipe(folder: Path, **changes: object) -> Path:
    recipe = yaml.safe_load((RECIPES / "garments.yaml").read_text("utf-8"))
    recipe |= {"name": "looks", "backbone": "vgg16", "width": 0.125, "weights": "none", "batch": 4}
    recipe |= {"size": SIDE, "crop_from": 40, "taxonomy": str(RECIPES / "kfashion.labels.json")}
    recipe["fine_tune"] |= {"epochs": 1, "size": SIDE}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe | changes), "utf-8")
    return path


def test_a_network_of_views_is_trained_published_with_its_segmenter_and_served(
    tmp_path: Path, segmenter: SegmenterFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_HOME", str(tmp_path / "home"))
    root, models = small_tree().write(tmp_path / "data"), tmp_path / "models"
    section = {"file": segmenter.path.name, "channels": {"top": [1], "bottom": [2]}}
    path = write_recipe(tmp_path, input={"view": "views", "segmenter": section})
    arguments = ["train", "--data", str(root), "--shipped-split", "--recipe", str(path), "--models", str(models)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    artifact = Artifact.open(models / "looks" / "1")
    assert artifact.input == InputSpec(SIDE, view="views", segmenter=segmenter)
    assert artifact.input.segmenter is not None
    assert artifact.input.segmenter.path == artifact.folder / "colours.onnx"
    assert "file: colours.onnx" in artifact.card
    assert str(tmp_path) not in artifact.card
    runtime = open_runtime(artifact, "openvino")
    cache = DataCache(tmp_path / "home", lambda _what, iterable, _length, /: iterable, lambda _sentence: None)
    judged = open_pictures(root, kfashion_taxonomy(), artifact.input, cache, part="validation")
    scores = predict(runtime, np.concatenate(list(judged.blocks())))
    runtime.close()
    assert judged.shape == (VIEW_COUNT, SIDE, SIDE, 3)
    assert float((scores.argmax(axis=1) == judged.labels).mean()) == artifact.metrics["accuracy"]
    swap_segmenter(artifact.folder)
    with pytest.raises(ArtifactInvalid, match=r"a segmenter colours\.onnx"):
        Artifact.open(artifact.folder)


def swap_segmenter(folder: Path) -> None:
    """Put another segmenter into an artifact, and its hash into the manifest but not into the input."""
    import hashlib

    path = write_pointwise(folder / "colours.onnx", 2 * COLOURS, 32)
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    manifest["files"][path.name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    assert (folder / INPUT).is_file()


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"view": "half"}, "input.view"),
        ({"segmenter": "colours.onnx"}, "expected no segmenter"),
        ({"view": "views", "segmenter": "colours.onnx"}, "channels of garments"),
        ({"view": "crop", "segmenter": {"channels": {}}}, "input.segmenter.file"),
    ],
)
def test_an_input_section_that_makes_no_sense_is_refused(
    section: dict[str, object], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetInvalid, match=reason):
        read_recipe(write_recipe(tmp_path, input=section))


def test_a_missing_segmenter_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, input={"view": "crop", "segmenter": "missing.onnx"})
    data = small_tree(2).write(tmp_path / "data")
    done = CliRunner(env={"LOOKBOOK_HOME": str(tmp_path)}).invoke(
        app, ["train", "--data", str(data), "--recipe", str(path), "--models", str(tmp_path / "models")]
    )
    assert isinstance(done.exception, ArtifactInvalid)
    assert "missing.onnx" in str(done.exception)


def test_a_segmenter_without_the_named_channels_is_refused_before_any_picture_is_read(
    tmp_path: Path, segmenter: SegmenterFile
) -> None:
    section = {"view": "mask", "segmenter": {"file": segmenter.path.name, "channels": {"top": [3]}}}
    recipe, _ = read_recipe(write_recipe(tmp_path, input=section))
    with pytest.raises(ArtifactInvalid, match="3 channels"):
        recipe.input.spec(SIDE)

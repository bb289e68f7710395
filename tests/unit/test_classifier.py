from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from classifier.artifact import Artifact, find_artifact, list_artifacts, publish
from classifier.evaluation import evaluate
from classifier.learning.data.cache import DataCache
from classifier.learning.data.opened import open_pictures
from classifier.learning.training.recipe import read_recipe
from classifier.prepare import InputSpec, prepare
from classifier.reference import Reference
from classifier.taxonomy import Taxonomy
from core.errors import ArtifactInvalid, DatasetInvalid, ModelUnknown
from core.settings import PROJECT
from core.types import Crop, ModelRef
from samples import broken

NOW = datetime(2026, 1, 31, tzinfo=UTC)
SAMPLES = PROJECT / "samples" / "pictures"
TAXONOMY = Taxonomy.from_json(json.loads((PROJECT / "recipes/training/garments.labels.json").read_text("utf-8")))


def cache_in(folder: Path) -> DataCache:
    return DataCache(folder / "home", lambda _what, iterable, _length, /: iterable, lambda _sentence: None)


def write_artifact(folder: Path, _ref: ModelRef) -> None:
    (folder / "labels.json").write_text(json.dumps(TAXONOMY.to_json()), "utf-8")
    (folder / "input.json").write_text(json.dumps(InputSpec(224).to_json()), "utf-8")
    (folder / "metrics.json").write_text("{}", "utf-8")
    (folder / "card.md").write_text("# card", "utf-8")
    (folder / "model.keras").write_bytes(b"weights")


def test_prepared_pixels_have_the_shape_and_type_of_the_models_input() -> None:
    prepared = prepare((SAMPLES / "t-shirt-red.jpg").read_bytes(), InputSpec(224))
    assert prepared.pixels.shape == (224, 224, 3)
    assert prepared.pixels.dtype == np.uint8
    assert (prepared.info.width, prepared.info.height) == (900, 1200)


def test_training_evaluation_and_serving_prepare_the_same_bytes_to_the_same_pixels(tmp_path: Path) -> None:
    from db.blobs.local import LocalBlobStore
    from worker.decoding.decoder import DecoderLimits
    from worker.decoding.pool import DecodedPicture, DecoderPool

    store = LocalBlobStore(tmp_path / "blobs")
    paths = sorted(SAMPLES.iterdir())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dress").symlink_to(SAMPLES)
    learned = open_pictures(tmp_path / "data", TAXONOMY, InputSpec(224), cache_in(tmp_path))
    keys = [(store.put(path.read_bytes()), "") for path in paths]
    decoders = DecoderPool(store, 1, DecoderLimits(30, 2**32), 32, InputSpec(224).byte_count)
    outcomes = [
        outcome for call in decoders.decode(keys, InputSpec(224), "job", interactive=False) for _, outcome in call
    ]
    served = [outcome.pixels.tobytes() for outcome in outcomes if isinstance(outcome, DecodedPicture)]
    decoders.close()
    assert sorted(served) == sorted(pixels.tobytes() for block in learned.blocks() for pixels in block)


def test_a_crop_changes_the_pixels_and_not_the_pictures_size() -> None:
    data = (SAMPLES / "jacket-denim.jpg").read_bytes()
    whole, part = prepare(data, InputSpec(64)), prepare(data, InputSpec(64), Crop(300, 300, 400, 400))
    assert part.info == whole.info
    assert np.abs(part.pixels.astype(int) - whole.pixels).mean() > 10


def test_an_input_that_this_version_cannot_prepare_is_refused() -> None:
    with pytest.raises(ArtifactInvalid, match="letterbox"):
        InputSpec.from_json({"size": 224, "resize": "letterbox", "colour": "srgb"}, Path())


def test_published_versions_are_numbered_and_found_by_their_number(tmp_path: Path) -> None:
    first = publish(tmp_path, "garments", NOW, write_artifact)
    second = publish(tmp_path, "garments", NOW, write_artifact)
    assert [str(a.ref) for a in list_artifacts(tmp_path)] == ["garments@1", "garments@2"]
    assert first.digest != second.digest
    assert find_artifact(tmp_path, ModelRef("garments", "2")).digest == second.digest
    assert second.taxonomy == TAXONOMY


def test_a_publication_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(folder: Path, _ref: ModelRef) -> None:
        (folder / "model.keras").write_bytes(b"half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        publish(tmp_path, "garments", NOW, fail)
    assert list((tmp_path / "garments").iterdir()) == []


def test_answers_that_do_not_fit_their_model_are_refused_and_others_are_read(tmp_path: Path) -> None:
    def reference(labels: int) -> Reference:
        vectors, scores = np.zeros((3, 4), np.float16), np.full((3, labels), 1 / labels, np.float16)
        return Reference(vectors, np.arange(3, dtype=np.int16), vectors[:2], scores, np.arange(3, dtype=np.int16))

    def write(labels: int) -> Callable[[Path, ModelRef], None]:
        def write_with_reference(folder: Path, ref: ModelRef) -> None:
            write_artifact(folder, ref)
            reference(labels).write(folder)

        return write_with_reference

    good = publish(tmp_path, "garments", NOW, write(len(TAXONOMY.labels))).reference()
    assert good is not None
    np.testing.assert_array_equal(good.train_labels, [0, 1, 2])
    with pytest.raises(ArtifactInvalid, match=r"reference.npz: expected arrays for 10 labels"):
        publish(tmp_path, "garments", NOW, write(4)).reference()

    def write_text(folder: Path, ref: ModelRef) -> None:
        write_artifact(folder, ref)
        (folder / "reference.npz").write_text("no arrays")

    with pytest.raises(ArtifactInvalid, match=r"expected the arrays train_embeddings"):
        publish(tmp_path, "garments", NOW, write_text).reference()
    assert publish(tmp_path, "garments", NOW, write_artifact).reference() is None


@pytest.mark.parametrize("embedding", [3, {}, {"length": 0, "layer": "pool"}, {"length": 4, "layer": "scores"}])
def test_an_embedding_that_this_version_does_not_know_is_refused(tmp_path: Path, embedding: Any) -> None:
    def write(folder: Path, ref: ModelRef) -> None:
        write_artifact(folder, ref)
        described = InputSpec(224).to_json() | {"embedding": embedding}
        (folder / "input.json").write_text(json.dumps(described), "utf-8")

    with pytest.raises(ArtifactInvalid, match=r"expected an embedding with a length of at least 1"):
        publish(tmp_path, "garments", NOW, write)


@pytest.mark.parametrize("damage", ["change", "remove", "add"])
def test_an_artifact_that_differs_from_its_manifest_is_refused(tmp_path: Path, damage: str) -> None:
    folder = publish(tmp_path, "garments", NOW, write_artifact).folder
    if damage == "change":
        (folder / "model.keras").write_bytes(b"other")
    elif damage == "remove":
        (folder / "card.md").unlink()
    else:
        (folder / "extra.py").write_text("")
    with pytest.raises(ArtifactInvalid):
        Artifact.open(folder)


def test_the_error_names_an_unknown_artifact(tmp_path: Path) -> None:
    with pytest.raises(ModelUnknown, match="nobody@1"):
        find_artifact(tmp_path, ModelRef("nobody", "1"))


def test_the_committed_model_is_intact_small_and_as_accurate_as_its_card_says() -> None:
    artifact = list_artifacts(PROJECT / "models")[-1]
    size = sum(path.stat().st_size for path in artifact.folder.rglob("*") if path.is_file())
    # EfficientNet-Lite1 has 4.1 million weights: in 16 bits for Keras, in 32 and in 8 for OpenVINO.
    assert size <= 30 * 2**20
    assert artifact.metrics["accuracy"] >= 0.94
    assert artifact.metrics["calibration_error"] <= 0.03
    assert f"{artifact.metrics['accuracy']:.4f}" in artifact.card


def test_a_taxonomy_whose_labels_name_a_missing_group_is_refused() -> None:
    data = TAXONOMY.to_json()
    data["groups"] = data["groups"][1:]
    with pytest.raises(ArtifactInvalid, match="tops"):
        Taxonomy.from_json(data)


def test_every_label_and_group_has_an_english_and_a_korean_name() -> None:
    for names in [label.names for label in TAXONOMY.labels] + [group.names for group in TAXONOMY.groups]:
        assert names["en"]
        assert names["ko"]


def test_metrics_of_known_scores_are_right() -> None:
    taxonomy = TAXONOMY.restricted_to(["dress", "shirt", "pants"])
    scores = np.array([[0.8, 0.1, 0.1], [0.6, 0.4, 0.0], [0.1, 0.7, 0.2], [0.2, 0.2, 0.6]], np.float32)
    metrics = evaluate(scores, np.array([0, 1, 1, 2]), taxonomy)
    assert metrics["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert metrics["accuracy"] == 0.75
    assert metrics["balanced_accuracy"] == pytest.approx((1 + 0.5 + 1) / 3)
    # F1: dress 2/3, shirt 2/3, pants 1.
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert metrics["group_accuracy"] == 1.0
    assert metrics["recall_at_3"] == 1.0
    # 0.6 twice, 0.7 and 0.8, which are float32 and therefore a little off.
    assert [metrics["confidences"][n] for n in (12, 13, 14, 16)] == [2, 1, 0, 1]
    assert sum(metrics["confidences"]) == 4


def test_unreadable_training_files_are_listed_and_left_out(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for label in ("dress", "shirt"):
        (data / label).mkdir(parents=True)
        Image.new("RGB", (30, 40), "red").save(data / label / "good.jpg")
    (data / "dress" / "bad.jpg").write_bytes(broken.truncated_jpeg())
    pictures = open_pictures(data, TAXONOMY, InputSpec(32), cache_in(tmp_path))
    assert (len(pictures), pictures.shape) == (2, (32, 32, 3))
    assert pictures.unreadable == ("dress/bad.jpg",)
    labels = TAXONOMY.label_ids
    assert pictures.labels.tolist() == [labels.index("dress"), labels.index("shirt")]


@pytest.mark.parametrize(
    ("make", "said"), [(None, "expected a folder"), ("socks", "got socks"), ("", "got pictures outside"), ("dress", "")]
)
def test_the_refusal_of_a_folder_says_what_a_dataset_needs(tmp_path: Path, make: str | None, said: str) -> None:
    folder = tmp_path / "data"
    if make is not None:
        (folder / make).mkdir(parents=True)
        if said:
            Image.new("RGB", (30, 40), "red").save(folder / make / "good.jpg")
    with pytest.raises(DatasetInvalid, match=said or "expected pictures"):
        open_pictures(folder, TAXONOMY, InputSpec(32), cache_in(tmp_path))


def test_the_error_names_a_misspelt_member_of_a_recipe(tmp_path: Path) -> None:
    good = (PROJECT / "recipes/training/garments.yaml").read_text("utf-8")
    (tmp_path / "recipe.yaml").write_text(good.replace("batch: 32", "batches: 32"), "utf-8")
    with pytest.raises(DatasetInvalid, match="batch"):
        read_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize("name", ["../X y", "Garments", "garments/2", "-garments", "garments\n", ""])
def test_a_name_that_is_no_folder_name_is_refused_in_a_recipe_and_in_a_change_of_it(tmp_path: Path, name: str) -> None:
    good = (PROJECT / "recipes/training/garments.yaml").read_text("utf-8")
    (tmp_path / "recipe.yaml").write_text(good.replace("name: garments", f"name: {json.dumps(name)}", 1), "utf-8")
    with pytest.raises(DatasetInvalid, match="name: "):
        read_recipe(tmp_path / "recipe.yaml")
    recipe, _ = read_recipe(PROJECT / "recipes/training/garments.yaml")
    with pytest.raises(DatasetInvalid, match="name: "):
        recipe.with_name(name)
    assert recipe.with_name("coats-2").name == "coats-2"


@pytest.mark.parametrize("content", [b"{", b"\xff"], ids=["not JSON", "not UTF-8"])
def test_the_error_names_a_taxonomy_that_cannot_be_parsed(tmp_path: Path, content: bytes) -> None:
    good = (PROJECT / "recipes/training/garments.yaml").read_text("utf-8")
    (tmp_path / "recipe.yaml").write_text(good, "utf-8")
    (tmp_path / "garments.labels.json").write_bytes(content)
    with pytest.raises(DatasetInvalid, match=r"garments\.labels\.json: not JSON"):
        read_recipe(tmp_path / "recipe.yaml")


def test_a_taxonomy_keeps_the_other_spellings_of_its_labels_and_the_words_that_are_no_labels() -> None:
    content = json.loads((PROJECT / "recipes/training/kfashion.labels.json").read_text("utf-8"))
    taxonomy = Taxonomy.from_json(content)
    assert taxonomy.to_json() == content
    assert {label.id: label.aliases for label in taxonomy.labels if label.aliases}["street"] == ("스트릿",)
    assert taxonomy.restricted_to(["punk", "retro"]).not_labels == ("기타",)
    assert (len(taxonomy.labels), len(taxonomy.groups)) == (23, 10)

"""Heads that are fitted on vectors: their figures, their learning curve, and the files of an artifact that has one."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.artifact import OPENVINO_INT8, OPENVINO_MODEL, Artifact, list_artifacts
from classifier.calibration import calibration_error
from classifier.precision import METRIC, refusal
from classifier.precision_vectors import read_precision_vectors
from classifier.runtime import predict
from classifier.runtime_openvino import OpenVinoRuntime
from classifier.taxonomy import Taxonomy
from classifier.teaching.curve import MORE, learning_curve
from classifier.teaching.fitting import Examples, Fitter, Reviewed
from classifier.teaching.head import Head
from classifier.teaching.openvino_head import read_head
from classifier.teaching.publishing import NewVersion, publish_with_head
from core.clock import utc_now
from core.errors import ArtifactInvalid, DatasetInvalid
from tests.artifacts import publish_with_precisions

LENGTH = 24


def clouds(counts: list[int], spread: float = 0.7, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw vectors of labels around one centre each."""
    centres = np.random.default_rng(7).normal(size=(len(counts), LENGTH))
    labels = np.repeat(np.arange(len(counts)), counts)
    noise = np.random.default_rng(seed).normal(size=(len(labels), LENGTH))
    return (centres[labels] + spread * 2 * noise).astype(np.float32), labels.astype(np.int64)


def reviewed(counts: list[int], spread: float = 0.7) -> Reviewed:
    vectors, labels = clouds(counts, spread)
    return Reviewed(vectors, labels, np.arange(len(labels)))


def test_a_head_labels_unseen_vectors_as_well_as_its_folds_say() -> None:
    fitted = Fitter(reviewed([120, 60, 30]), None, 3).fit()
    vectors, labels = clouds([400, 200, 100], seed=1)
    accuracy = (fitted.head.scores(vectors).argmax(axis=1) == labels).mean()
    claimed = (fitted.scores.argmax(axis=1) == reviewed([120, 60, 30]).labels).mean()
    assert accuracy == pytest.approx(claimed, abs=0.06)
    assert accuracy > 0.85


def test_confidences_match_the_accuracy_on_unseen_vectors() -> None:
    fitted = Fitter(reviewed([150, 150, 150], spread=1.1), None, 3).fit()
    vectors, labels = clouds([700, 700, 700], spread=1.1, seed=2)
    assert calibration_error(fitted.head.scores(vectors), labels) < 0.06


def test_a_copy_of_a_picture_is_never_judged_by_a_head_that_has_seen_the_other() -> None:
    # Every vector is noise, so nothing can be learned but the copies themselves.
    noise = np.random.default_rng(3).normal(size=(60, 120)).astype(np.float32)
    labels = np.random.default_rng(4).integers(0, 2, 60)
    twice, groups = np.concatenate((noise, noise)), np.tile(np.arange(60), 2)
    truth = np.tile(labels, 2)

    def accuracy(of_groups: NDArray[np.int64]) -> float:
        fitted = Fitter(Reviewed(twice, truth, of_groups), None, 2).fit()
        return float((fitted.scores.argmax(axis=1) == truth).mean())

    assert accuracy(np.arange(120)) > 0.8
    assert accuracy(groups) < 0.65


def test_labels_without_reviews_are_learned_from_the_kept_examples() -> None:
    vectors, labels = clouds([40, 40, 40])
    seen = labels < 2
    judged = Reviewed(vectors[seen], labels[seen], np.arange(int(seen.sum())))
    fitted = Fitter(judged, Examples(vectors[~seen], labels[~seen]), 3).fit()
    unseen, truth = clouds([50, 50, 50], seed=5)
    found = fitted.head.scores(unseen).argmax(axis=1)
    assert (found[truth == 2] == 2).mean() > 0.8


def test_reviews_that_are_all_labelled_right_get_a_cautious_temperature() -> None:
    fitted = Fitter(reviewed([20, 20], spread=0.05), None, 2).fit()
    assert fitted.calibration is None
    assert (fitted.scores.argmax(axis=1) == reviewed([20, 20], spread=0.05).labels).all()
    # 40 right answers of 40 do not say that the 41st is certain.
    assert 0.9 < fitted.scores.max(axis=1).mean() < 0.999


@pytest.mark.parametrize(("counts", "words"), [([40], "two labels"), ([1, 0], "two different pictures")])
def test_too_few_labels_or_pictures_are_refused(counts: list[int], words: str) -> None:
    with pytest.raises(DatasetInvalid, match=words):
        Fitter(reviewed(counts), None, len(counts)).fit()


def test_the_curve_rises_and_the_advice_names_the_label_that_errs_most() -> None:
    vectors, labels = clouds([150, 150, 14], spread=0.8)
    fitter = Fitter(Reviewed(vectors, labels, np.arange(len(labels))), None, 3)
    points, advice = learning_curve(fitter, fitter.fit())
    assert [point.reviews for point in points] == [63, 126, 251]
    assert points[0].accuracy <= points[-1].accuracy
    errors = {one.label: one.errors for one in advice}
    assert sum(errors.values()) == 2 * round((1 - points[-1].accuracy) * len(labels))
    assert all(0 <= one.gain < 1 for one in advice)
    assert max(advice, key=lambda one: one.gain) == advice[0]
    assert MORE == 50


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return publish_with_precisions(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def with_head(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Head, Path]:
    """An artifact whose head has two labels more, and swaps the first two. Its weights are float16 by chance."""
    before = read_head(artifact, OPENVINO_MODEL)
    order = [1, 0, *range(2, len(before.bias)), 0, 1]
    head = Head(np.ascontiguousarray(before.weights[:, order]), before.bias[order] - np.float32(0.5))
    rows = artifact.taxonomy.to_json()["labels"]
    labels = [{**rows[number], "id": f"{rows[number]['id']}-{place}"} for place, number in enumerate(order)]
    taxonomy = Taxonomy.from_json({**artifact.taxonomy.to_json(), "labels": labels})
    models = tmp_path_factory.mktemp("models")
    new = NewVersion(head, taxonomy, {"accuracy": 0.5}, None, "Classifies.\n\n## Limits\n- none")
    return publish_with_head(artifact, new, "garments-taught", models, utc_now(), 7), head, models


@pytest.fixture(scope="module")
def pixels(artifact: Artifact) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (4, *artifact.input.shape), np.uint8)


def test_a_version_with_another_head_is_an_ordinary_artifact(with_head: tuple[Artifact, Head, Path]) -> None:
    published, _, models = with_head
    assert str(published.ref) == "garments-taught@7"
    assert [str(one.ref) for one in list_artifacts(models)] == ["garments-taught@7"]
    assert len(published.taxonomy.labels) == 12
    assert (published.folder / OPENVINO_INT8).is_file()
    assert published.card.startswith("# garments-taught@7\n")


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_openvino_gives_the_scores_of_the_new_head(
    precision: str, artifact: Artifact, with_head: tuple[Artifact, Head, Path], pixels: NDArray[np.uint8]
) -> None:
    published, head, _ = with_head
    before = OpenVinoRuntime(artifact, precision)  # type: ignore[arg-type]
    after = OpenVinoRuntime(published, precision)  # type: ignore[arg-type]
    old, new = predict(before, pixels), predict(after, pixels)
    maps = after.activation_maps(pixels[0]), before.activation_maps(pixels[0])
    before.close()
    after.close()
    expected = old[:, [1, 0, *range(2, 10), 0, 1]]
    expected /= expected.sum(axis=1, keepdims=True)
    # In int8, the old head was quantized and the new one is not.
    assert np.abs(new - expected).max() < (1e-5 if precision == "f32" else 0.03)
    assert np.abs(maps[0][..., 0] - maps[1][..., 1]).max() < 1e-4
    assert maps[0].shape[-1] == len(head.bias)


def test_keras_gives_the_same_scores_as_openvino(
    with_head: tuple[Artifact, Head, Path], pixels: NDArray[np.uint8]
) -> None:
    from classifier.keras_graph import load_graph, only_scores

    published, _, _ = with_head
    runtime = OpenVinoRuntime(published)
    scores = predict(runtime, pixels)
    runtime.close()
    assert np.abs(only_scores(load_graph(published.folder)).predict(pixels, verbose=0) - scores).max() < 1e-4


def test_precisions_are_checked_on_vectors_that_the_artifact_brings(with_head: tuple[Artifact, Head, Path]) -> None:
    published, _, _ = with_head
    checks = published.metrics[METRIC]
    assert checks["bf16"] == {"pictures": 341, "flips": 0, "accuracy": 1.0, "largest_difference": 0.0}
    assert 0 < checks["int8"]["largest_difference"] < 0.2
    assert refusal("int8", published.metrics, ("f32", "int8")) is None
    # The next version is checked on the same vectors.
    assert read_precision_vectors(published.folder) is not None


def test_a_temperature_divides_the_logits_and_changes_no_label(with_head: tuple[Artifact, Head, Path]) -> None:
    _, head, _ = with_head
    vectors = np.random.default_rng(1).normal(size=(5, len(head.weights))).astype(np.float32)
    tempered = head.tempered(2.0)
    assert np.allclose(tempered.logits(vectors) * 2, head.logits(vectors), atol=1e-4)
    assert (tempered.scores(vectors).argmax(axis=1) == head.scores(vectors).argmax(axis=1)).all()


def test_a_damaged_keras_file_is_refused(artifact: Artifact, tmp_path: Path) -> None:
    from classifier.teaching.keras_head import write_keras_with_head

    copy = tmp_path / artifact.ref.name / artifact.ref.version
    shutil.copytree(artifact.folder, copy)
    broken = Artifact(artifact.ref, copy, artifact.digest, artifact.taxonomy, artifact.input, {}, "")
    with zipfile.ZipFile(copy / "model.keras", "w") as out:
        out.writestr("config.json", json.dumps({"config": {"layers": []}}))
        out.writestr("model.weights.h5", b"")
    with pytest.raises(ArtifactInvalid, match="expected a layer scores that is dense with softmax"):
        write_keras_with_head(broken, Head(np.zeros((2, 2), np.float32), np.zeros(2, np.float32)), tmp_path)

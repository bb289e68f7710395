"""The committed model in both runtimes, on photographs that packages contain and on the samples."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from classifier.artifact import KERAS_MODEL, Artifact, list_artifacts
from classifier.precision import Check, Precision
from classifier.prepare import prepare
from classifier.runtime import Runtime, answer, predict
from classifier.runtime_openvino import OpenVinoRuntime, supported_precisions
from classifier.runtimes import choose_runtime, open_runtime, visible_gpus
from core.settings import PROJECT
from tests.conftest import SAMPLES

PHOTOGRAPHS = ("astronaut", "camera", "cat", "coffee", "rocket", "brick", "grass", "gravel")


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return list_artifacts(PROJECT / "models")[-1]


@pytest.fixture(scope="module")
def pixels(artifact: Artifact) -> NDArray[np.uint8]:
    files = [path.read_bytes() for path in sorted(SAMPLES.iterdir())]
    for name in PHOTOGRAPHS:
        out = io.BytesIO()
        Image.fromarray(getattr(data, name)()).save(out, "PNG")
        files.append(out.getvalue())
    return np.stack([prepare(file, artifact.input).pixels for file in files])


@pytest.fixture(scope="module")
def openvino(artifact: Artifact) -> Iterator[Runtime]:
    runtime = open_runtime(artifact, "openvino")
    yield runtime
    runtime.close()


@pytest.fixture(scope="module")
def tensorflow(artifact: Artifact) -> Iterator[Runtime]:
    runtime = open_runtime(artifact, "tensorflow")
    yield runtime
    runtime.close()


def test_both_runtimes_give_the_same_labels_and_scores(
    openvino: Runtime, tensorflow: Runtime, pixels: NDArray[np.uint8]
) -> None:
    by_openvino, by_tensorflow = predict(openvino, pixels), predict(tensorflow, pixels)
    np.testing.assert_allclose(by_openvino, by_tensorflow, atol=1e-3)
    assert by_openvino.argmax(axis=1).tolist() == by_tensorflow.argmax(axis=1).tolist()


def test_an_embedding_rests_on_the_picture_alone_in_both_runtimes(
    artifact: Artifact, openvino: Runtime, tensorflow: Runtime, pixels: NDArray[np.uint8]
) -> None:
    assert artifact.embedding is not None
    by_openvino, by_tensorflow = answer(openvino, pixels).embeddings, answer(tensorflow, pixels).embeddings
    assert by_openvino is not None
    assert by_tensorflow is not None
    assert by_openvino.shape == (len(pixels), artifact.embedding.length)
    np.testing.assert_allclose(by_openvino, by_tensorflow, atol=0.01)
    alone = openvino.infer(pixels[5:6], lone=True).embeddings
    assert alone is not None
    np.testing.assert_allclose(alone, by_openvino[5:6], atol=1e-3)


def test_an_artifact_without_an_embedding_is_served_by_both_runtimes(
    artifact: Artifact, openvino: Runtime, pixels: NDArray[np.uint8]
) -> None:
    older = dataclasses.replace(artifact, embedding=None)
    for name in ("openvino", "tensorflow"):
        runtime = open_runtime(older, name)
        answers = answer(runtime, pixels[:2])
        assert answers.embeddings is None
        np.testing.assert_allclose(answers.scores, predict(openvino, pixels[:2]), atol=1e-3)
        runtime.close()


def test_the_published_answers_are_those_of_the_model(artifact: Artifact) -> None:
    """The reference has scores on the pictures to judge by, with the accuracy that the card states."""
    reference = artifact.reference()
    assert reference is not None
    assert artifact.embedding is not None
    assert reference.train_embeddings.shape == (1024, artifact.embedding.length)
    right = reference.validation_scores.argmax(axis=1) == reference.validation_labels
    assert right.mean() == pytest.approx(artifact.metrics["accuracy"], abs=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 13, 33])
@pytest.mark.parametrize("name", ["openvino", "tensorflow"])
def test_scores_do_not_depend_on_the_batch_size(
    name: str, count: int, pixels: NDArray[np.uint8], request: pytest.FixtureRequest
) -> None:
    runtime: Runtime = request.getfixturevalue(name)
    together = predict(runtime, pixels[:count])
    assert together.shape == (count, 10)
    np.testing.assert_allclose(together[-1:], predict(runtime, pixels[count - 1 : count]), atol=1e-4)
    np.testing.assert_allclose(together.sum(axis=1), 1.0, atol=1e-4)


def test_mixed_precision_keeps_the_labels(artifact: Artifact, tensorflow: Runtime, pixels: NDArray[np.uint8]) -> None:
    """A GPU computes in mixed precision; the test computes in it on the CPU."""
    import keras

    from classifier.keras_graph import use_mixed_precision

    model = keras.saving.load_model(artifact.folder / KERAS_MODEL, compile=False)
    use_mixed_precision(model)
    assert model.get_layer("head_conv").compute_dtype == "float16"
    mixed = np.asarray(model.predict(pixels, verbose=0), np.float32)
    exact = predict(tensorflow, pixels)
    np.testing.assert_allclose(mixed, exact, atol=0.02)
    clear = np.sort(exact, axis=1)[:, -1] - np.sort(exact, axis=1)[:, -2] > 0.05
    assert (mixed.argmax(axis=1) == exact.argmax(axis=1))[clear].all()


def test_activation_maps_add_up_to_the_scores_in_both_runtimes(
    artifact: Artifact, openvino: Runtime, tensorflow: Runtime, pixels: NDArray[np.uint8]
) -> None:
    """The mean of a label's map plus the label's constant is its logit (Zhou et al. 2016, equation 1)."""
    import keras

    constants = (
        keras.saving.load_model(artifact.folder / KERAS_MODEL, compile=False).get_layer("scores").get_weights()[1]
    )
    for picture in pixels[:4]:
        by_openvino, by_tensorflow = openvino.activation_maps(picture), tensorflow.activation_maps(picture)
        assert by_openvino.shape == (7, 7, 10)
        np.testing.assert_allclose(by_openvino, by_tensorflow, atol=1e-2)
        powers = np.exp(by_openvino.mean(axis=(0, 1)) + constants)
        np.testing.assert_allclose(powers / powers.sum(), predict(openvino, picture[None])[0], atol=1e-3)


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_a_precision_that_was_checked_keeps_the_labels(
    artifact: Artifact, precision: Precision, openvino: Runtime, pixels: NDArray[np.uint8]
) -> None:
    if precision not in supported_precisions():
        pytest.skip(f"this processor does not compute in {precision}")
    runtime = open_runtime(artifact, "openvino", precision)
    assert runtime.precision == precision
    scores, exact = predict(runtime, pixels), predict(openvino, pixels)
    assert not np.array_equal(scores, exact)
    clear = np.sort(exact, axis=1)[:, -1] - np.sort(exact, axis=1)[:, -2] > 0.2
    assert clear.sum() > len(clear) / 2
    assert (scores.argmax(axis=1) == exact.argmax(axis=1))[clear].all()
    rounded, embeddings = answer(runtime, pixels).embeddings, answer(openvino, pixels).embeddings
    assert rounded is not None
    assert embeddings is not None
    lengths = np.linalg.norm(rounded, axis=1) * np.linalg.norm(embeddings, axis=1)
    assert np.median((rounded * embeddings).sum(axis=1) / lengths) > 0.95
    # Explanations are still computed in f32.
    assert runtime.activation_maps(pixels[0]).shape == (7, 7, 10)
    runtime.close()


def test_f32_replaces_a_precision_that_changes_labels(artifact: Artifact) -> None:
    check = Check(pictures=100, flips=1, accuracy=0.9, largest_difference=0.5)
    careless = dataclasses.replace(artifact, metrics={"precisions": {"int8": check, "bf16": check}})
    for setting in ("int8", "bf16", "auto"):
        runtime = open_runtime(careless, "openvino", setting)
        assert runtime.precision == "f32"
        runtime.close()


def test_auto_chooses_a_checked_precision(artifact: Artifact) -> None:
    only_int8 = {"precisions": {"int8": artifact.metrics["precisions"]["int8"]}}
    runtime = open_runtime(dataclasses.replace(artifact, metrics=only_int8), "openvino", "auto")
    assert runtime.precision in {"f32", "int8"}
    runtime.close()


def test_a_model_loads_without_its_cache_if_the_cache_cannot_be_used(
    artifact: Artifact, openvino: Runtime, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    runtime = open_runtime(artifact, "openvino", cache=tmp_path / "file" / "cache")
    np.testing.assert_allclose(predict(runtime, pixels[:2]), predict(openvino, pixels[:2]), atol=1e-4)
    runtime.close()


def test_a_model_from_the_cache_gives_the_same_scores(
    artifact: Artifact, openvino: Runtime, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    for start in ("first", "second"):
        runtime = open_runtime(artifact, "openvino", cache=tmp_path)
        assert any(tmp_path.iterdir()), start
        np.testing.assert_allclose(predict(runtime, pixels), predict(openvino, pixels), atol=1e-6)
        runtime.close()


def test_gpus_are_counted_by_their_device_files(tmp_path: Path) -> None:
    for name in ("nvidia10", "nvidia0", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert visible_gpus(tmp_path) == ["0", "10"]


def test_a_worker_on_openvino_never_imports_tensorflow() -> None:
    code = (
        "import sys; from core.settings import PROJECT; import worker.app; "
        "from classifier.artifact import list_artifacts; from classifier.runtimes import open_runtime; "
        "open_runtime(list_artifacts(PROJECT / 'models')[-1], 'auto'); "
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_openvino_computes_in_f32_by_default(artifact: Artifact, openvino: Runtime) -> None:
    assert isinstance(openvino, OpenVinoRuntime)
    assert openvino.precision == "f32"
    compiled = openvino._requests[1].get().get_compiled_model()
    assert str(compiled.get_property("INFERENCE_PRECISION_HINT")) == "<Type: 'float32'>"


def test_a_setting_that_names_a_runtime_is_obeyed() -> None:
    assert choose_runtime("tensorflow") == "tensorflow"
    assert choose_runtime("openvino") == "openvino"


def test_the_samples_are_mostly_recognised(openvino: Runtime, artifact: Artifact, pixels: NDArray[np.uint8]) -> None:
    kinds = {"coat": "outwear", "jacket": "outwear", "cap": "hat", "sneaker": "shoes", "shoe": "shoes"}
    names = [path.stem.rpartition("-")[0] for path in sorted(SAMPLES.iterdir())]
    expected = [kinds.get(name, name) for name in names]
    scores = predict(openvino, pixels[: len(names)])
    labels = [artifact.taxonomy.label_ids[index] for index in scores.argmax(axis=1)]
    # The model has learned from photographs, not from drawings. A majority shows that channels and labels are in order.
    assert sum(label == right for label, right in zip(labels, expected, strict=True)) >= len(names) * 0.6

"""The committed model through both runtimes, on photographs that come inside packages and on the samples."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from classifier.artifact import KERAS_MODEL, Artifact, list_artifacts
from classifier.prepare import prepare
from classifier.runtime import Runtime, predict
from classifier.runtimes import choose_runtime, open_runtime
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
    one, other = predict(openvino, pixels), predict(tensorflow, pixels)
    np.testing.assert_allclose(one, other, atol=1e-3)
    assert one.argmax(axis=1).tolist() == other.argmax(axis=1).tolist()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 13, 33])
@pytest.mark.parametrize("name", ["openvino", "tensorflow"])
def test_scores_do_not_depend_on_how_many_pictures_come_together(
    name: str, count: int, pixels: NDArray[np.uint8], request: pytest.FixtureRequest
) -> None:
    runtime: Runtime = request.getfixturevalue(name)
    together = predict(runtime, pixels[:count])
    assert together.shape == (count, 10)
    np.testing.assert_allclose(together[-1:], predict(runtime, pixels[count - 1 : count]), atol=1e-4)
    np.testing.assert_allclose(together.sum(axis=1), 1.0, atol=1e-4)


def test_mixed_precision_keeps_the_labels(artifact: Artifact, tensorflow: Runtime, pixels: NDArray[np.uint8]) -> None:
    """What a GPU would compute in, run on the CPU: another precision, the same answers."""
    import keras

    from classifier.runtime_tensorflow import use_mixed_precision

    model = keras.saving.load_model(artifact.folder / KERAS_MODEL, compile=False)
    use_mixed_precision(model)
    assert model.get_layer("head_conv").compute_dtype == "float16"
    mixed = np.asarray(model.predict(pixels, verbose=0), np.float32)
    exact = predict(tensorflow, pixels)
    np.testing.assert_allclose(mixed, exact, atol=0.02)
    clear = np.sort(exact, axis=1)[:, -1] - np.sort(exact, axis=1)[:, -2] > 0.05
    assert (mixed.argmax(axis=1) == exact.argmax(axis=1))[clear].all()


def test_a_worker_on_openvino_never_imports_tensorflow() -> None:
    code = (
        "import sys; from core.settings import PROJECT; import worker.app; "
        "from classifier.artifact import list_artifacts; from classifier.runtimes import open_runtime; "
        "open_runtime(list_artifacts(PROJECT / 'models')[-1], 'auto'); "
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_openvino_computes_in_f32_unless_told_otherwise(artifact: Artifact, openvino: Runtime) -> None:
    assert openvino.precision == "f32"
    compiled = openvino._requests[1].get().get_compiled_model()  # type: ignore[attr-defined]
    assert str(compiled.get_property("INFERENCE_PRECISION_HINT")) == "<Type: 'float32'>"


def test_a_setting_that_names_a_runtime_is_taken_at_its_word() -> None:
    assert choose_runtime("tensorflow") == "tensorflow"
    assert choose_runtime("openvino") == "openvino"


def test_the_samples_are_mostly_recognised(openvino: Runtime, artifact: Artifact, pixels: NDArray[np.uint8]) -> None:
    kinds = {"coat": "outwear", "jacket": "outwear", "cap": "hat", "sneaker": "shoes", "shoe": "shoes"}
    names = [path.stem.rpartition("-")[0] for path in sorted(SAMPLES.iterdir())]
    expected = [kinds.get(name, name) for name in names]
    scores = predict(openvino, pixels[: len(names)])
    labels = [artifact.taxonomy.label_ids[index] for index in scores.argmax(axis=1)]
    # Drawings are not what it learned from; that most are right shows that channels and labels are in order.
    assert sum(label == wanted for label, wanted in zip(labels, expected, strict=True)) >= len(names) * 0.6

"""Files of models that run code, that are damaged, or that were changed: every way in refuses them with a sentence."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from classifier.artifact import KERAS_MODEL, LABELS, MANIFEST, publish
from classifier.keras_file import load_keras_file
from classifier.keras_graph import load_graph
from classifier.learning.data.prepared import PIXELS, PreparedPictures
from classifier.learning.networks.catalogue import find_entry
from classifier.learning.networks.torch_weights import read_state_dict
from classifier.learning.networks.weights import load_weights_file
from cli.main import app
from core.clock import utc_now
from core.errors import ArtifactInvalid, DatasetInvalid, LookbookError, WeightsUnavailable
from core.settings import Settings
from tests.artifacts import publish_again
from worker.predicting.models import ModelCache

SIDE = 8


class RunsCode:
    """An object whose pickle makes a folder when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self._trace),)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Keras file that can be published."""
    path = tmp_path_factory.mktemp("good") / "good.keras"
    layers = [keras.Input((SIDE, SIDE, 3)), keras.layers.Conv2D(2, 1), keras.layers.GlobalAveragePooling2D()]
    keras.Sequential([*layers, keras.layers.Dense(2, activation="softmax")]).save(path)
    return path


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A folder that exists only if a file has run its code."""
    return tmp_path / "trace"


def with_layer(good: Path, path: Path, layer: dict[str, Any]) -> None:
    """Write a copy of a Keras file whose first layer is another one."""
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "config.json":
                config = json.loads(data)
                config["config"]["layers"][1] |= layer
                data = json.dumps(config).encode()
            target.writestr(name, data)


@pytest.fixture
def hostile(good: Path, trace: Path, tmp_path: Path) -> dict[Path, str]:
    """Files, and what their refusal says."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    code = pickle.dumps(RunsCode(trace))
    lambda_model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), keras.layers.Lambda(lambda x: x)])
    lambda_model.save(folder / "lambda.keras")
    lambda_model.save(folder / "old.h5")
    shutil.copy(folder / "old.h5", folder / "renamed.keras")
    for name, data in {
        "model.pkl": code,
        "pickle.keras": code,
        "joblib.keras": zlib.compress(code),
        "text.keras": b"no model",
        "empty.keras": b"",
        "cut.keras": good.read_bytes()[:-100],
    }.items():
        (folder / name).write_bytes(data)
    np.save(folder / "objects.npy", np.array([RunsCode(trace)]), allow_pickle=True)
    layers: dict[str, dict[str, Any]] = {
        "function.keras": {"module": "builtins", "class_name": "function", "config": "system"},
        "system.keras": {"module": "os", "class_name": "system", "config": {"command": f"mkdir {trace}"}},
        "torch.keras": {"module": "keras.layers", "class_name": "TorchModuleWrapper"},
        "reads.keras": {
            "module": "keras.layers",
            "class_name": "StringLookup",
            "config": {"vocabulary": "/etc/passwd"},
        },
        "custom.keras": {"module": "shop", "class_name": "Layer", "registered_name": "shop>Layer"},
    }
    for name, layer in layers.items():
        with_layer(good, folder / name, layer)
    with zipfile.ZipFile(folder / "other.keras", "w") as archive:
        archive.writestr("archive/data.pkl", code)
    words = {
        "lambda.keras": "without Lambda layers",
        "old.h5": "got HDF5",
        "renamed.keras": "got HDF5",
        "model.pkl": "got a pickle",
        "pickle.keras": "got a pickle",
        "joblib.keras": "pickle of joblib",
        "objects.npy": "an array of NumPy",
        "text.keras": "another format",
        "empty.keras": "another format",
        "cut.keras": "another format",
        "function.keras": "custom code",
        "system.keras": "os.system, which is custom code",
        "torch.keras": "loads a pickle",
        "reads.keras": "reads a file that the model names",
        "custom.keras": "shop.Layer, which is custom code",
        "other.keras": "got a ZIP file without config.json",
        "missing.keras": "No such file",
    }
    return {folder / name: part for name, part in words.items()}


def published(home: Path, source: Path, *options: str) -> LookbookError | None:
    """Publish a file as a user does, and return the error that the command prints."""
    (home / "labels.json").write_text('["a", "b"]')
    environment = {"LOOKBOOK_HOME": str(home), "LOOKBOOK_MODELS": str(home / "models")}
    named = ["--name", "mine", "--labels", str(home / "labels.json"), *options]
    error = CliRunner(env=environment).invoke(app, ["models", "publish", str(source), *named]).exception
    assert error is None or isinstance(error, LookbookError), error
    return error


def test_publishing_refuses_every_file_that_is_no_plain_keras_model(
    good: Path, hostile: dict[Path, str], trace: Path, tmp_path: Path
) -> None:
    for path, part in hostile.items():
        error = published(tmp_path, path)
        assert error is not None, path
        assert part in error.detail, (path, error.detail)
        assert str(path) in error.detail
    assert not trace.exists()
    assert not list(tmp_path.glob("models/*/*"))
    assert published(tmp_path, good) is None


def test_training_refuses_the_same_files_as_weights(hostile: dict[Path, str], trace: Path) -> None:
    for path, part in hostile.items():
        with pytest.raises(WeightsUnavailable) as refused:
            load_weights_file(find_entry("efficientnet_lite0"), keras.Sequential(), path)
        assert part in refused.value.detail or "expected a file of weights" in refused.value.detail
    assert not trace.exists()


def test_serving_refuses_an_artifact_whose_model_runs_code(hostile: dict[Path, str], tmp_path: Path) -> None:
    # Its maker wrote a manifest with the right SHA-256 of the hostile file.
    source = publish_again(tmp_path / "models").folder

    def write(folder: Path, _: object) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
        shutil.copy(next(path for path in hostile if path.name == "lambda.keras"), folder / KERAS_MODEL)

    artifact = publish(tmp_path / "models", "garments", utc_now(), write)
    with pytest.raises(ArtifactInvalid, match="without Lambda layers"):
        load_graph(artifact.folder)


def test_a_model_whose_files_have_changed_is_not_loaded(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, models=tmp_path / "models")
    artifact = publish_again(settings.models)
    models = ModelCache(settings, lambda _: artifact.digest)
    for path in sorted(artifact.folder.rglob("*")):
        if not path.is_file() or path.name == MANIFEST:
            continue
        before = path.read_bytes()
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        with pytest.raises(ArtifactInvalid, match=f"{path}: expected SHA-256 [0-9a-f]{{64}}, got [0-9a-f]{{64}}"):
            models.load(artifact.ref)
        path.write_bytes(before)
    # Somebody changes the manifest as well, so that it fits.
    (artifact.folder / LABELS).write_text((artifact.folder / LABELS).read_text("utf-8") + " ", "utf-8")
    other = publish(tmp_path / "other", "garments", utc_now(), lambda folder, _: copy_files(artifact.folder, folder))
    shutil.copy(other.folder / MANIFEST, artifact.folder / MANIFEST)
    with pytest.raises(ArtifactInvalid, match=f"that were registered as garments@1 .SHA-256 {artifact.digest}"):
        models.load(artifact.ref)
    models.close()


def copy_files(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))


def test_prepared_pictures_of_objects_are_refused(tmp_path: Path, trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / PIXELS, np.array([RunsCode(trace)]), allow_pickle=True)
    monkeypatch.setattr("classifier.learning.data.prepared._read_description", lambda _: (None, None, True))
    with pytest.raises(DatasetInvalid, match="expected an array of bytes"):
        PreparedPictures.open(tmp_path)
    assert not trace.exists()


def test_weights_of_pytorch_create_only_tensors(tmp_path: Path, trace: Path) -> None:
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(RunsCode(trace)))
    with pytest.raises(ArtifactInvalid, match=r"asks for posix\.mkdir"):
        read_state_dict(tmp_path / "evil.pth")
    assert not trace.exists()


def test_a_good_file_loads(good: Path) -> None:
    assert load_keras_file(good).output_shape == (None, 2)

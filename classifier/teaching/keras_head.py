"""Replace the head of a Keras file, without Keras: the file is a ZIP with a description in JSON and weights in HDF5."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from classifier.artifact import KERAS_MODEL, SCORES, Artifact
from classifier.teaching.head import Head
from core.errors import ArtifactInvalid

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"


def write_keras_with_head(artifact: Artifact, head: Head, target: Path) -> None:
    """Write the `model.keras` of an artifact with another head into a folder.

    Raises:
        ArtifactInvalid: the layer of the scores is something else than a dense layer with softmax.
    """
    with zipfile.ZipFile(artifact.folder / KERAS_MODEL) as source:
        config = json.loads(source.read(_CONFIG))
        _resize(config, len(head.bias), str(artifact.ref))
        weights = io.BytesIO(source.read(_WEIGHTS))
        _replace(weights, head, str(artifact.ref))
        with zipfile.ZipFile(target / KERAS_MODEL, "w", zipfile.ZIP_DEFLATED) as out:
            for name in source.namelist():
                if name not in {_CONFIG, _WEIGHTS}:
                    out.writestr(name, source.read(name))
            out.writestr(_CONFIG, json.dumps(config))
            out.writestr(_WEIGHTS, weights.getvalue())


def _resize(config: dict[str, Any], labels: int, name: str) -> None:
    layers = [layer for layer in config["config"]["layers"] if layer["name"] == SCORES]
    if not layers or layers[0]["class_name"] != "Dense" or layers[0]["config"].get("activation") != "softmax":
        found = layers[0]["class_name"] if layers else "no such layer"
        raise ArtifactInvalid(f"{name}: expected a layer {SCORES} that is dense with softmax, got {found}")
    layers[0]["config"]["units"] = labels
    layers[0]["config"]["use_bias"] = True


def _replace(weights: io.BytesIO, head: Head, name: str) -> None:
    with h5py.File(weights, "r+") as file:
        found = [
            group["vars"]
            for group in file["layers"].values()
            if "vars" in group and group["vars"].attrs.get("name") == SCORES
        ]
        if len(found) != 1:
            raise ArtifactInvalid(f"{name}: expected the weights of one layer {SCORES} in {KERAS_MODEL}")
        for key in list(found[0]):
            del found[0][key]
        for number, values in enumerate((head.weights, head.bias)):
            found[0].create_dataset(str(number), data=_stored(values))


def _stored(values: NDArray[np.float32]) -> NDArray[np.float32]:
    # Float16, in which the other weights are stored, could change a label.
    return np.ascontiguousarray(values, np.float32)

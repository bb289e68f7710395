"""Keras files from anywhere, loaded without running code that they bring."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from core.errors import ArtifactInvalid

_CONFIG = "config.json"
_MEMBERS = {_CONFIG, "metadata.json", "model.weights.h5"}
_MAX_CONFIG_BYTES = 64 * 2**20
_PACKAGES = {"keras", "builtins"}
"""Packages whose objects a model may consist of. An object of `builtins` is a type of Python, such as a slice."""
_RUNNING_CODE = {
    "Lambda": "runs code of the file",
    "TorchModuleWrapper": "loads a pickle, which can run code",
    "TFSMLayer": "runs a graph of another file",
    "JaxLayer": "runs code of the file",
    "FlaxLayer": "runs code of the file",
    "StringLookup": "reads a file that the model names",
    "IntegerLookup": "reads a file that the model names",
    "TextVectorization": "reads a file that the model names",
}
"""Layers of Keras that classifiers of pictures do not need, and what they do when a model is loaded or called."""
_OTHER_FORMATS = {
    b"\x89HDF\r\n\x1a\n": "HDF5 (.h5), which can run code when it is loaded",
    b"\x93NUMPY": "an array of NumPy (.npy)",
    b"\x1f\x8b": "a gzip file, such as a compressed pickle",
    b"x\x9c": "a zlib file, such as a compressed pickle of joblib",
    b"\x80\x02": "a pickle, which can run code when it is loaded",
    b"\x80\x03": "a pickle, which can run code when it is loaded",
    b"\x80\x04": "a pickle, which can run code when it is loaded",
    b"\x80\x05": "a pickle, which can run code when it is loaded",
}
"""The first bytes of files that people take for models."""


def load_keras_file(path: Path) -> Any:
    """Return the model of a Keras file (`.keras`), not compiled.

    Only this format has a safe mode. Lambda layers, objects of other packages, and layers that read other files are
    refused before Keras sees the file.

    Raises:
        ArtifactInvalid: the file is missing, has another format, has code of its own, or is damaged.
    """
    _check_format(path)
    for owner in _objects(_read_config(path)):
        _check_object(path, owner)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError, AttributeError, IndexError, NotImplementedError) as error:
        raise ArtifactInvalid(f"{path}: expected a Keras model that loads without custom code: {error}") from error


def _check_format(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise ArtifactInvalid(
            f"{path}: expected a Keras file (.keras), and it cannot be read: {error.strerror}"
        ) from error
    advice = "where the model was made, save it with `model.save('name.keras')`"
    for magic, name in _OTHER_FORMATS.items():
        if start.startswith(magic):
            raise ArtifactInvalid(f"{path}: expected a Keras file (.keras), got {name}; {advice}")
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ArtifactInvalid(f"{path}: expected a Keras file (.keras), got another format; {advice}")


def _read_config(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if not names >= _MEMBERS:
                missing = ", ".join(sorted(_MEMBERS - names))
                raise ArtifactInvalid(f"{path}: expected a Keras file (.keras), got a ZIP file without {missing}")
            if archive.getinfo(_CONFIG).file_size > _MAX_CONFIG_BYTES:
                raise ArtifactInvalid(f"{path}: expected at most {_MAX_CONFIG_BYTES:,} bytes in {_CONFIG}")
            return json.loads(archive.read(_CONFIG))
    except (ValueError, OSError, RecursionError, NotImplementedError, zipfile.BadZipFile) as error:
        raise ArtifactInvalid(f"{path}: expected a Keras file (.keras), but reading it failed: {error}") from error


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object that a configuration describes: layers, initializers, policies."""
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, dict):
            if "class_name" in current:
                yield current
            waiting += current.values()
        elif isinstance(current, list):
            waiting += current


def _check_object(path: Path, described: dict[str, Any]) -> None:
    name, module = str(described["class_name"]), described.get("module")
    if name in _RUNNING_CODE or name == "__lambda__":
        reason = _RUNNING_CODE.get(name, "runs code of the file")
        raise ArtifactInvalid(f"{path}: expected a model without {name} layers, because such a layer {reason}")
    if name == "function" or (module is not None and str(module).partition(".")[0] not in _PACKAGES):
        raise ArtifactInvalid(f"{path}: expected only layers of Keras, got {module}.{name}, which is custom code")

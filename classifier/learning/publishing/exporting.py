"""Write the files of an artifact: Keras, OpenVINO and int8."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import openvino as ov
from numpy.typing import NDArray

from classifier.artifact import ACTIVATION_MAPS, KERAS_MODEL, OPENVINO_INT8, OPENVINO_MODEL, SCORES
from classifier.keras_graph import load_graph, with_activation_maps
from classifier.runtime_openvino import only_output

_WEIGHTS = "model.weights.h5"


def save_keras(model: Any, folder: Path) -> None:
    """Write `model.keras`: the graph without the optimizer, with weights in float16, which Keras loads as float32."""
    clean = keras.Model(model.input, model.output, name=model.name)
    path = folder / KERAS_MODEL
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary) / "model.keras"
        clean.save(whole)
        _halve_weights(whole, path)


def _halve_weights(source: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / _WEIGHTS
        small = Path(temporary) / "small.h5"
        with zipfile.ZipFile(source) as archive:
            archive.extract(_WEIGHTS, temporary)
            with h5py.File(weights) as before, h5py.File(small, "w") as after:
                _copy_halved(before, after)
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
                for name in archive.namelist():
                    if name != _WEIGHTS:
                        out.writestr(name, archive.read(name))
                out.write(small, _WEIGHTS)


def _copy_halved(before: Any, after: Any) -> None:
    for name, value in before.attrs.items():
        after.attrs[name] = value
    for name, child in before.items():
        if isinstance(child, h5py.Group):
            _copy_halved(child, after.create_group(name))
        else:
            data = np.asarray(child)
            after.create_dataset(name, data=data.astype(np.float16) if data.dtype == np.float32 else data)


def save_openvino(folder: Path) -> None:
    """Write `openvino/model.xml` and `.bin` from the folder's `model.keras`, with scores and class activation maps.

    The weights are in float32. The converter folds the normalisation into the convolutions, and with these products in
    float16 the scores differed from those of TensorFlow by 0.003.
    """
    model = with_activation_maps(load_graph(folder))
    target = folder / OPENVINO_MODEL
    target.parent.mkdir()
    with tempfile.TemporaryDirectory() as temporary:
        model.export(temporary, format="tf_saved_model", verbose=False)
        converted = ov.convert_model(temporary)
    for output in converted.outputs:
        # Maps have four dimensions: pictures, height, width and labels.
        output.get_tensor().set_names({ACTIVATION_MAPS if len(output.partial_shape) == 4 else SCORES})
    # OpenVINO stores the path of the source. Replace it, because it is a temporary folder.
    converted.set_rt_info(KERAS_MODEL, ["conversion_parameters", "input_model"])
    ov.save_model(converted, target, compress_to_fp16=False)


def save_int8(folder: Path, pixels: NDArray[np.uint8]) -> None:
    """Write `openvino/int8.xml` and `.bin`, quantized for the activations of `pixels`, uint8 [N, side, side, 3]."""
    # Without this variable, nncf sends usage data to its makers.
    os.environ["NNCF_CI"] = "1"
    import nncf

    model = only_output(ov.Core().read_model(folder / OPENVINO_MODEL), SCORES)
    model.reshape([1, *pixels.shape[1:]])
    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        quantized = nncf.quantize(model, nncf.Dataset(list(pixels[:, None])), subset_size=len(pixels))
    ov.save_model(quantized, folder / OPENVINO_INT8)


def write_json(path: Path, data: Any) -> None:
    """Write data as indented JSON in UTF-8."""
    path.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", "utf-8")

"""Write the files of an artifact: Keras, OpenVINO and int8."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import openvino as ov
import tensorflow as tf
from numpy.typing import NDArray
from openvino.frontend.tensorflow import utils as converter
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from classifier.artifact import EMBEDDING, INPUT, KERAS_MODEL, OPENVINO_INT8, OPENVINO_MODEL, SCORES, Embedding
from classifier.keras_graph import embedding_of, load_graph, with_activation_maps
from classifier.prepare import InputSpec
from classifier.runtime_openvino import only_outputs
from classifier.taxonomy import Taxonomy

_WEIGHTS = "model.weights.h5"

# The converter asks only for the version of TensorFlow. Its own function does so with `exec("import tensorflow")` and
# `exec("del tensorflow")`. The second one fails from Python 3.13 on, where each exec has its own variables (PEP 667).
converter.get_environment_setup = lambda _framework: {"tensorflow": tf.__version__}


def save_keras(model: Any, folder: Path, *, exact: bool = False) -> None:
    """Write `model.keras`: the graph without the optimizer, with weights in float16, which Keras loads as float32.

    `exact` keeps weights in float32 that float16 would round.
    """
    clean = keras.Model(model.input, model.output, name=model.name)
    path = folder / KERAS_MODEL
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary) / "model.keras"
        clean.save(whole)
        _halve_weights(whole, path, exact)


def _halve_weights(source: Path, target: Path, exact: bool) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / _WEIGHTS
        small = Path(temporary) / "small.h5"
        with zipfile.ZipFile(source) as archive:
            archive.extract(_WEIGHTS, temporary)
            with h5py.File(weights) as before, h5py.File(small, "w") as after:
                _copy_halved(before, after, exact)
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
                for name in archive.namelist():
                    if name != _WEIGHTS:
                        out.writestr(name, archive.read(name))
                out.write(small, _WEIGHTS)


def _copy_halved(before: Any, after: Any, exact: bool) -> None:
    for name, value in before.attrs.items():
        after.attrs[name] = value
    for name, child in before.items():
        if isinstance(child, h5py.Group):
            _copy_halved(child, after.create_group(name), exact)
        else:
            after.create_dataset(name, data=_halved(np.asarray(child), exact))


def _halved(data: NDArray[Any], exact: bool) -> NDArray[Any]:
    """Return float32 data in float16, unless a value is too large for it or, if `exact`, would be rounded.

    The variances of batch normalisation are that large in networks whose pixels are not scaled, such as ResNet50.
    """
    fits = data.dtype == np.float32 and np.abs(data).max(initial=0.0) <= np.finfo(np.float16).max
    if not fits:
        return data
    half = data.astype(np.float16)
    return data if exact and (half != data).any() else half


def save_openvino(folder: Path, taxonomy: Taxonomy) -> Embedding:
    """Write `openvino/model.xml` and `.bin` from the folder's `model.keras`. Return the description of its embedding.

    The outputs have the names of the graph: SCORES, EMBEDDING, ACTIVATION_MAPS, and SUB_SCORES for the head
    `multi_label`.
    The weights are in float32. The converter folds the normalisation into the convolutions, and with these products in
    float16 the scores differed from those of TensorFlow by 0.003.
    """
    graph = load_graph(folder)
    model = with_activation_maps(graph, taxonomy)
    target = folder / OPENVINO_MODEL
    target.parent.mkdir()
    spec = tf.TensorSpec(model.input.shape, tf.uint8)
    # Keras's own export takes minutes for the largest networks, and seconds are enough to trace one function.
    traced = tf.function(lambda pixels: model(pixels, training=False)).get_concrete_function(spec)
    # The converter searches all variables for each node, but not constants.
    constant = convert_variables_to_constants_v2(traced)
    named = tf.function(lambda pixels: tf.nest.pack_sequence_as(traced.structured_outputs, constant(pixels)))
    converted = ov.convert_model(named.get_concrete_function(spec))
    ov.save_model(converted, target, compress_to_fp16=False)
    return embedding_of(graph)[1]


def save_int8(folder: Path, pixels: NDArray[np.uint8]) -> None:
    """Write `openvino/int8.xml` and `.bin`, quantized for the activations of `pixels`, uint8 [N, *shape]."""
    import nncf

    model = only_outputs(ov.Core().read_model(folder / OPENVINO_MODEL), (SCORES, EMBEDDING))
    model.reshape([1, *pixels.shape[1:]])
    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        quantized = nncf.quantize(model, nncf.Dataset(list(pixels[:, None])), subset_size=len(pixels))
    ov.save_model(quantized, folder / OPENVINO_INT8)


def write_input(folder: Path, spec: InputSpec, embedding: Embedding) -> None:
    """Write `input.json`, and copy the file of the segmenter beside it."""
    write_json(folder / INPUT, {**spec.to_json(), EMBEDDING: embedding.to_json()})
    if spec.segmenter is not None:
        shutil.copyfile(spec.segmenter.path, folder / spec.segmenter.path.name)


def write_json(path: Path, data: Any) -> None:
    """Write data as indented JSON in UTF-8."""
    path.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", "utf-8")

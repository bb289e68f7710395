"""Read and replace the head of an OpenVINO model, without the framework in which the model was trained.

The head is `SCORES` = Softmax(Add(MatMul(vector, weights), bias)). The converter and the quantization may put other
operations around the weights, but none between these three.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

from classifier.artifact import ACTIVATION_MAPS, SCORES, Artifact
from classifier.teaching.head import Head
from core.errors import ArtifactInvalid

_core = ov.Core()


def read_head(artifact: Artifact, file: str) -> Head:
    """Return the head of one of the artifact's OpenVINO models, for example `OPENVINO_MODEL`.

    Raises:
        ArtifactInvalid: the scores are made by something else than one dense layer with softmax.
    """
    model = _core.read_model(artifact.folder / file)
    _, product, added = _parts(model, str(artifact.ref))
    transposed = bool(product.get_attributes().get("transpose_b"))
    weights = _constant(product.input_value(1), str(artifact.ref))
    bias = _constant(added.input_value(1), str(artifact.ref)).reshape(-1)
    return Head((weights.T if transposed else weights).astype(np.float32), bias.astype(np.float32))


def write_with_head(artifact: Artifact, file: str, head: Head, target: Path) -> None:
    """Write one of the artifact's OpenVINO models with another head into a folder, under the same name.

    All other outputs stay, and the class activation maps get the weights of the new head. The head is computed in
    float32, also in a quantized model.

    Raises:
        ArtifactInvalid: the scores are made by something else than one dense layer with softmax.
    """
    model = _core.read_model(artifact.folder / file)
    name = str(artifact.ref)
    softmax, product, _ = _parts(model, name)
    vector = _unquantized(product.input_value(0))
    if vector.get_partial_shape()[1].get_length() != len(head.weights):
        raise ArtifactInvalid(f"{name}: expected weights for vectors of {vector.get_partial_shape()}")
    logits = ops.add(ops.matmul(vector, ops.constant(head.weights), False, False), ops.constant(head.bias[None]))
    scores = ops.softmax(logits, axis=1)
    scores.set_friendly_name(softmax.get_friendly_name())
    for consumer in list(softmax.output(0).get_target_inputs()):
        consumer.replace_source_output(scores.output(0))
    softmax.output(0).set_names(set())
    scores.output(0).set_names({SCORES})
    _replace_maps(model, head, name)
    model.validate_nodes_and_infer_types()
    path = target / file
    path.parent.mkdir(parents=True, exist_ok=True)
    ov.save_model(model, path, compress_to_fp16=False)


def _parts(model: Any, name: str) -> tuple[Any, Any, Any]:
    """Return the nodes of the head: softmax, product and sum."""
    softmax = model.output(SCORES).node.input_value(0).get_node()
    if softmax.get_type_name() == "Softmax":
        added = softmax.input_value(0).get_node()
        if added.get_type_name() == "Add":
            product = added.input_value(0).get_node()
            if product.get_type_name() == "MatMul" and len(product.input_value(0).get_partial_shape()) == 2:
                return softmax, product, added
    raise ArtifactInvalid(
        f"{name}: expected a model whose scores come from one dense layer with softmax, because only such a head can "
        "be replaced; train a version with the head `straight`"
    )


def _unquantized(vector: Any) -> Any:
    """Return the vector before its quantization, if it is quantized."""
    node = vector.get_node()
    return node.input_value(0) if node.get_type_name() == "FakeQuantize" else vector


def _constant(value: Any, name: str) -> NDArray[np.float32]:
    node = value.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant":
        raise ArtifactInvalid(f"{name}: expected the weights of the head as constants, got {node.get_type_name()}")
    return np.array(node.data, np.float32)


def _replace_maps(model: Any, head: Head, name: str) -> None:
    """Give the class activation maps the weights of the head: a convolution of 1 x 1."""
    outputs = [output for output in model.outputs if ACTIVATION_MAPS in output.get_names()]
    for output in outputs:
        node = output.node.input_value(0).get_node()
        while node.get_type_name() in {"Transpose", "Reshape", "Convert"}:
            node = node.input_value(0).get_node()
        if node.get_type_name() != "Convolution":
            raise ArtifactInvalid(f"{name}: expected activation maps from a convolution, got {node.get_type_name()}")
        kernel = np.ascontiguousarray(head.weights.T[:, :, None, None])
        node.input(1).replace_source_output(ops.constant(kernel).output(0))

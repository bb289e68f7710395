"""Backbones that start from the weights of a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.learning.networks.backbone import Backbone
from classifier.learning.networks.registry import build_backbone
from core.errors import WeightsUnavailable
from core.settings import PROJECT
from tests.integration.networks import WIDTH, pictures, same_weights_in_every_run, with_head

__all__ = ["same_weights_in_every_run"]


def output_of(backbone: Backbone, layer: str) -> NDArray[np.float32]:
    whole = keras.Model(backbone.pixels, backbone.features)
    part = keras.Model(backbone.pixels, whole.get_layer(layer).output)
    values: NDArray[np.float32] = part.predict_on_batch(pictures(32))
    return values


@pytest.mark.parametrize(
    ("name", "base", "layer"),
    [
        ("vgg16", "vgg16", "block5_pool"),
        ("bcrnn", "vgg16", "block4_conv3"),
        ("efficientnet_lite0", "efficientnet_lite0", "head_bn"),
    ],
)
def test_a_backbone_starts_from_a_file(name: str, base: str, layer: str, tmp_path: Path) -> None:
    source = build_backbone(base, 32, WIDTH, "none")
    # The file may be a whole model with a head.
    with_head(source).save(tmp_path / "weights.keras")
    loaded = build_backbone(name, 32, WIDTH, str(tmp_path / "weights.keras"))
    np.testing.assert_allclose(output_of(loaded, layer), output_of(source, layer), rtol=1e-5)
    assert layer in loaded.pretrained
    assert "landmark_map" not in loaded.pretrained


def test_a_file_of_efficientnet_keeps_the_rescaling_that_keras_adds_to_downloaded_weights(tmp_path: Path) -> None:
    scratch = build_backbone("efficientnet_b0", 32, WIDTH, "none")

    def call(layer: Any, *args: Any, **options: Any) -> Any:
        output = layer(*args, **options)
        if isinstance(layer, keras.layers.Normalization):
            output = keras.layers.Rescaling([deviation**-0.5 for deviation in (0.229, 0.224, 0.225)])(output)
        return output

    whole = keras.Model(scratch.pixels, scratch.features)
    # The graph that keras.applications makes if it downloads the weights.
    downloaded = keras.models.clone_model(whole, call_function=call)
    downloaded.save(tmp_path / "b0.keras")
    loaded = build_backbone("efficientnet_b0", 32, WIDTH, str(tmp_path / "b0.keras"))
    features = keras.Model(loaded.pixels, loaded.features).predict_on_batch(pictures(32))
    np.testing.assert_allclose(features, downloaded.predict_on_batch(pictures(32)), rtol=1e-3, atol=1e-6)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = build_backbone("vgg16", 32, 0.25, "none")
    keras.Model(other.pixels, other.features).save(tmp_path / "wide.keras")
    with pytest.raises(WeightsUnavailable, match=r"wide\.keras: expected weights of vgg16: expected the shapes"):
        build_backbone("vgg16", 32, WIDTH, str(tmp_path / "wide.keras"))
    with pytest.raises(WeightsUnavailable, match="got none"):
        build_backbone("vgg16", 32, WIDTH, str(tmp_path / "missing.keras"))


def test_a_machine_without_a_network_is_told_what_to_do(tmp_path: Path) -> None:
    # Port 9 of this machine refuses connections. Another home of Keras keeps an earlier download out.
    proxies = dict.fromkeys(("https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "cli", "convert-backbone", "mobilenet_v2", str(tmp_path / "out.keras")],
        cwd=PROJECT,
        env={**os.environ, **proxies, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "the ImageNet weights of mobilenet_v2 could not be downloaded: URL fetch failure" in done.stderr
    assert "`lookbook convert-backbone mobilenet_v2 mobilenet_v2.keras`" in done.stderr
    assert "`weights: none`" in done.stderr

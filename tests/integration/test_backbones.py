"""The converted ImageNet networks compared with recorded logits of the PyTorch originals (see reference/make.py)."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from classifier.learning.networks.catalogue import find_entry
from classifier.learning.networks.registry import build_imagenet
from classifier.learning.networks.torch_weights import read_state_dict
from core.errors import ArtifactInvalid

REFERENCE = Path(__file__).parent / "reference" / "logits.npz"


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
def test_the_converted_network_gives_the_logits_of_the_original(name: str) -> None:
    size = find_entry(name).size
    photographs = (data.cat(), data.coffee())
    pixels = np.stack(
        [np.asarray(Image.fromarray(p).resize((size, size), Image.Resampling.BILINEAR)) for p in photographs]
    )
    logits = build_imagenet(name).predict(pixels, verbose=0)
    with np.load(REFERENCE) as reference:
        np.testing.assert_allclose(logits, reference[name.replace("_", "-")], atol=2e-4)
    # In ImageNet 285 is the Egyptian cat and 967 is espresso.
    assert logits.argmax(axis=1).tolist() == [285, 967]


def test_a_weights_file_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (eval, ("1 + 1",))

    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ArtifactInvalid, match=r"asks for builtins\.eval"):
        read_state_dict(path)


def test_a_file_that_is_no_weights_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.pth"
    path.write_bytes(b"")
    with pytest.raises(ArtifactInvalid):
        read_state_dict(path)

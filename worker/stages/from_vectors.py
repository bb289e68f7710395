"""Predict pictures from the vectors that versions with the same backbone have stored, without opening the pictures."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from classifier.artifact import OPENVINO_MODEL, Artifact
from classifier.runtime import Answer
from classifier.teaching.head import Head
from core.types import ModelRef, PictureKey
from core.vectors import decode_all


class HeadCache:
    """The heads of the versions that predict from vectors. A head has a few hundred kilobytes at most."""

    def __init__(self) -> None:
        self._heads: dict[ModelRef, Head] = {}
        self._lock = threading.Lock()

    def answer(self, artifact: Artifact, vectors: Mapping[PictureKey, bytes]) -> dict[PictureKey, Answer]:
        """Return the answers of a version to pictures, given by their vectors."""
        with self._lock:
            head = self._heads.get(artifact.ref)
            if head is None:
                # OpenVINO takes long to import, and most workers never predict from vectors.
                from classifier.teaching.openvino_head import read_head

                head = self._heads[artifact.ref] = read_head(artifact, OPENVINO_MODEL)
        found = decode_all(list(vectors.values())).astype("float32")
        scores = head.scores(found)
        return {picture: Answer(*row) for picture, row in zip(vectors, zip(scores, found, strict=True), strict=True)}

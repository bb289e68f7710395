"""The model artifact: one folder with everything that serving needs, including preprocessing and labels.

`<models>/<name>/<version>/` holds model.keras, openvino/model.xml and .bin, labels.json, input.json, metrics.json,
card.md, plots of the training, reference.npz (classifier/reference.py), and manifest.json with the SHA-256 of each
file. A quantized version also has openvino/int8.xml and .bin. A published folder never changes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from classifier.prepare import InputSpec
from classifier.reference import REFERENCE, Reference
from classifier.taxonomy import Taxonomy
from core.clock import rfc3339
from core.errors import ArtifactInvalid, ModelUnknown
from core.types import ModelRef

MANIFEST = "manifest.json"
KERAS_MODEL = "model.keras"
OPENVINO_MODEL = "openvino/model.xml"
OPENVINO_INT8 = "openvino/int8.xml"
"""The quantized export. It is optional, and its outputs are `SCORES` and `EMBEDDING` only."""
FEATURES, SCORES = "features", "scores"
"""Layers of the Keras graph: the input of the global average pooling, and the scores of the labels."""
SUB_SCORES = "sub_scores"
"""A second output of networks with the head `multi_label`: the scores of the sub-labels. Workers do not use it yet."""
FLATTEN = "flatten"
"""The layer of the head `flatten` that puts all places of the features into one row."""
HIDDEN, GROUP_HEAD, LABEL_HEAD = "hidden", "group_logits", "label_logits"
"""Dense layers of the heads `two_dense` and `hierarchical`, from which the activation maps are made."""
TEMPERATURE_LAYER = "inverse_temperature"
"""The layer of a calibrated graph that multiplies its logits, if its last layer has no weights that could do it."""
ACTIVATION_MAPS, EMBEDDING = "activation_maps", "embedding"
"""Outputs of `OPENVINO_MODEL`, in addition to `SCORES`."""
LABELS, INPUT, METRICS, CARD = "labels.json", "input.json", "metrics.json", "card.md"
POOL = "pool"
"""The layer with the mean of the features over the picture, [N, channels]: the input of every head but `flatten`."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """The output EMBEDDING of a model: the mean of its features over the picture."""

    length: int
    """The number of its values."""
    layer: str
    """The layer of the Keras graph that gives it: POOL, or FEATURES if the head does not average them itself."""

    def to_json(self) -> dict[str, Any]:
        """Return the member `embedding` of `input.json`."""
        return {"length": self.length, "layer": self.layer}

    @classmethod
    def from_json(cls, data: Any) -> Self | None:
        """Return the embedding of such a member. None: the artifact has none, because it was exported before they were.

        Raises:
            ArtifactInvalid: it has other members or values.
        """
        if data is None:
            return None
        try:
            length, layer = data["length"], data["layer"]
        except (KeyError, TypeError):
            length, layer = 0, ""
        if not isinstance(length, int) or length < 1 or layer not in (POOL, FEATURES):
            raise ArtifactInvalid(
                f"{INPUT}: expected an embedding with a length of at least 1 and the layer {POOL} or {FEATURES}, "
                f"got {data}"
            )
        return cls(length, layer)


@dataclass(frozen=True, slots=True)
class Artifact:
    """An opened artifact."""

    ref: ModelRef
    folder: Path
    digest: str
    """SHA-256 of manifest.json in hex. It identifies the whole content, because the manifest hashes each file."""
    taxonomy: Taxonomy
    input: InputSpec
    metrics: dict[str, Any]
    card: str
    embedding: Embedding | None = None
    """The output EMBEDDING. None: the artifact was exported before there was one."""

    def reference(self) -> Reference | None:
        """Read the answers of the model to labelled pictures. None if the artifact has none.

        Raises:
            ArtifactInvalid: the file does not fit the model.
        """
        path = self.folder / REFERENCE
        return Reference.read(path, len(self.taxonomy.labels)) if path.is_file() else None

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Return the artifact of a folder, after checking every file against the manifest.

        Raises:
            ArtifactInvalid: a file is missing, was changed, or is not in the manifest, or one of its texts cannot be
                read.
        """
        try:
            return cls._read(folder)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ArtifactInvalid(
                f"{folder}: expected the files of an artifact, but reading them failed: {reason}"
            ) from error

    @classmethod
    def _read(cls, folder: Path) -> Self:
        manifest_bytes = _read(folder / MANIFEST)
        manifest = _read_json(folder / MANIFEST)
        _check_files(folder, manifest["files"])
        described = _read_json(folder / INPUT)
        spec = InputSpec.from_json(described, folder)
        _check_segmenter(spec, manifest["files"])
        ref = ModelRef(manifest["name"], manifest["version"])
        if (ref.name, ref.version) != (folder.parent.name, folder.name):
            raise ArtifactInvalid(f"{folder}: expected {folder.parent.name}@{folder.name} in {MANIFEST}, got {ref}")
        return cls(
            ref=ref,
            folder=folder,
            digest=hashlib.sha256(manifest_bytes).hexdigest(),
            taxonomy=Taxonomy.from_json(_read_json(folder / LABELS)),
            input=spec,
            metrics=_read_json(folder / METRICS),
            card=_read(folder / CARD).decode(),
            embedding=Embedding.from_json(described.get(EMBEDDING)),
        )


def find_artifact(models: Path, ref: ModelRef) -> Artifact:
    """Return the artifact of a model version.

    Raises:
        ModelUnknown: there is no folder of this version.
        ArtifactInvalid: its files differ from the manifest.
    """
    folder = models / ref.name / ref.version
    if not (folder / MANIFEST).is_file():
        raise ModelUnknown(f"no artifact {ref} in {models}")
    return Artifact.open(folder)


def list_artifacts(models: Path, leave_out: Callable[[ArtifactInvalid], object] | None = None) -> list[Artifact]:
    """Return every artifact in a folder of models, sorted by name and then from the oldest version to the newest.

    `leave_out` is called for each invalid artifact, which is then left out.

    Raises:
        ArtifactInvalid: an artifact is invalid, and `leave_out` is None.
    """
    manifests = sorted(models.glob(f"*/*/{MANIFEST}"), key=lambda path: (path.parts[-3], _version_key(path.parts[-2])))
    artifacts = []
    for manifest in manifests:
        try:
            artifacts.append(Artifact.open(manifest.parent))
        except ArtifactInvalid as error:
            if leave_out is None:
                raise
            leave_out(error)
    return artifacts


def largest_input(models: Path) -> int:
    """Return the bytes of the largest input of all valid artifacts in a folder of models, or 1 if there are none."""
    sizes = [1]
    for path in models.glob(f"*/*/{INPUT}"):
        with suppress(ArtifactInvalid):
            sizes.append(input_bytes(_read_json(path)))
    return max(sizes)


def input_bytes(content: Any) -> int:
    """Return the bytes of one input of a model with this `input.json`, or 1 if it is not valid."""
    # The artifact of an input that cannot be read is not used either.
    with suppress(ArtifactInvalid, ValueError, TypeError, KeyError, AttributeError):
        # The folder is that of the segmenter, whose file is not opened here.
        return InputSpec.from_json(content, Path()).byte_count
    return 1


def publish(
    models: Path, name: str, created_at: datetime, write: Callable[[Path, ModelRef], None], least: int = 1
) -> Artifact:
    """Publish the next version (1, 2, 3, …) of a model, or the version `least` if it is later. Return its artifact.

    `write` puts the files into a temporary folder. The folder gets its final name only when it is complete, so that no
    reader sees half of it.
    """
    parent = models / name
    parent.mkdir(parents=True, exist_ok=True)
    numbers = [int(path.name) for path in parent.iterdir() if path.name.isdecimal()]
    ref = ModelRef(name, str(max([least, *(number + 1 for number in numbers)])))
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=parent) as temporary:
        folder = Path(temporary) / "artifact"
        folder.mkdir()
        write(folder, ref)
        _write_manifest(folder, ref, created_at)
        target = parent / ref.version
        if target.exists():
            raise ArtifactInvalid(f"another process published {ref} in the meantime: publish again")
        shutil.move(folder, target)
    return Artifact.open(target)


def _write_manifest(folder: Path, ref: ModelRef, created_at: datetime) -> None:
    files = {
        path.relative_to(folder).as_posix(): {"sha256": _sha256(path), "bytes": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    manifest = {"name": ref.name, "version": ref.version, "created_at": rfc3339(created_at), "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")


def _check_files(folder: Path, listed: dict[str, dict[str, Any]]) -> None:
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    if present != set(listed):
        raise ArtifactInvalid(f"{folder}: expected the files {sorted(listed)}, got {sorted(present)}")
    for name, entry in listed.items():
        digest = _sha256(folder / name)
        if digest != entry["sha256"]:
            raise ArtifactInvalid(f"{folder / name}: expected SHA-256 {entry['sha256']}, got {digest}")


def _check_segmenter(spec: InputSpec, listed: dict[str, dict[str, Any]]) -> None:
    if spec.segmenter is None:
        return
    name, expected = spec.segmenter.path.name, spec.segmenter.sha256
    if listed.get(name, {}).get("sha256") != expected:
        raise ArtifactInvalid(f"{INPUT}: expected a segmenter {name} with SHA-256 {expected} in the artifact")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise ArtifactInvalid(f"{path}: expected JSON, got something else ({error})") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactInvalid(f"cannot read {path}: {error.strerror}") from error


def _version_key(version: str) -> tuple[int, str]:
    return (int(version) if version.isdecimal() else 0, version)

"""What a decoder process does: read the bytes of pictures and turn them into pixels, within its limits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.prepare import InputSpec, prepare
from classifier.segmenting import SegmenterFile, warm_up
from core.allocation import keep_freed_memory
from core.errors import BlobMissing, DecodeFailed, ItemError, PictureLost
from core.fingerprints import Fingerprint
from core.perceptual import fingerprint, is_flat
from core.pictures import DEFAULT_LIMITS, PictureLimits
from core.types import WHOLE_PICTURE, Crop, PictureInfo, PictureKey
from db.blobs.store import BlobStore
from worker.decoding.memory_limit import MemoryLimit
from worker.decoding.pixel_slots import slot_view

KEPT_BYTES, MAX_KEPT_BLOCK_BYTES = 32 * 2**20, 8 * 2**20
"""Freed memory that a decoder keeps for its next picture: in total, and in the largest block. Pillow allocates huge
pictures in blocks of 16 MiB, so their memory goes back to the system at once."""

Answer = tuple[PictureInfo, Crop | None, NDArray[np.uint8] | None] | ItemError
"""A decoder process's answer for one picture. It contains the pixels only if they do not fit into a slot."""


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """Limits of a decoder process: seconds per call, bytes of address space (only on Linux), and those of pictures."""

    seconds: float
    address_space: int
    pictures: PictureLimits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class _Decoder:
    """The state of a decoder process, which it keeps for its whole life."""

    store: BlobStore
    memory: Any
    slot_bytes: int
    limit: MemoryLimit
    pictures: PictureLimits = DEFAULT_LIMITS
    segmenters: set[SegmenterFile] = field(default_factory=set)
    """The segmenters that were loaded before."""

    def decode_all(self, pictures: Sequence[PictureKey], slots: Sequence[int], spec: InputSpec) -> list[Answer]:
        if spec.segmenter is not None and spec.segmenter not in self.segmenters:
            self.limit.load(partial(warm_up, spec.segmenter))
            self.segmenters.add(spec.segmenter)
        sha256s = list(dict.fromkeys(sha256 for sha256, _ in pictures))
        blobs = self._read_all(sha256s)
        seen: dict[str, tuple[Fingerprint | None, bool]] = {}
        return [
            blob
            if isinstance(blob := blobs[picture[0]], PictureLost)
            else self._decode(blob, picture, slot, spec, seen)
            for picture, slot in zip(pictures, slots, strict=True)
        ]

    def _read_all(self, sha256s: Sequence[str]) -> dict[str, bytes | PictureLost]:
        try:
            return dict(zip(sha256s, self.store.read_all(sha256s), strict=True))
        except BlobMissing:
            # One by one, so that only the pictures whose bytes are lost fail.
            return {sha256: self._read(sha256) for sha256 in sha256s}

    def _read(self, sha256: str) -> bytes | PictureLost:
        try:
            return self.store.read(sha256)
        except BlobMissing as error:
            return PictureLost(error.detail)

    def _decode(
        self,
        data: bytes,
        picture: PictureKey,
        slot: int,
        spec: InputSpec,
        seen: dict[str, tuple[Fingerprint | None, bool]],
    ) -> Answer:
        sha256, crop_key = picture
        try:
            prepared = prepare(data, spec, Crop.from_key(crop_key), limits=self.pictures)
            if sha256 not in seen:
                # The fingerprint is always that of the whole picture. A crop whose whole picture is not in the same
                # call therefore costs decoding the picture twice, which is acceptable because such crops are rare.
                whole = (
                    prepared if crop_key == WHOLE_PICTURE else prepare(data, InputSpec(spec.size), limits=self.pictures)
                )
                seen[sha256] = fingerprint(whole.picture), is_flat(whole.picture)
            mark, flat = seen[sha256]
            info = replace(prepared.info, fingerprint=mark, flat=flat)
        except ItemError as error:
            return error
        except MemoryError:
            return DecodeFailed("decoding needs more memory than one picture may use")
        if spec.byte_count > self.slot_bytes:
            return info, prepared.seen, prepared.pixels
        slot_view(self.memory, slot, self.slot_bytes, spec.shape)[:] = prepared.pixels
        return info, prepared.seen, None


_decoder: _Decoder | None = None


def start_decoder(blobs: BlobStore, limits: DecoderLimits, memory: Any, slot_bytes: int, niceness: int) -> None:
    global _decoder  # noqa: PLW0603 (a decoder process serves one store for its whole life)
    _decoder = _Decoder(blobs, memory, slot_bytes, MemoryLimit(limits.address_space), limits.pictures)
    os.nice(niceness)
    keep_freed_memory(KEPT_BYTES, MAX_KEPT_BLOCK_BYTES)
    # NumPy sets itself up on first use. That must happen before the memory limit applies.
    fingerprint(np.zeros((32, 32, 3), np.uint8))
    _decoder.limit.apply()


def decode_call(pictures: list[PictureKey], slots: list[int], spec: InputSpec) -> list[Answer]:
    assert _decoder is not None
    return _decoder.decode_all(pictures, slots, spec)

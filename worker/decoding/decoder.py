"""What a decoder process does: read the bytes of pictures and turn them into pixels, within its limits."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.prepare import InputSpec, prepare
from classifier.segmenting import SegmenterFile, warm_up
from core.allocation import keep_freed_memory
from core.errors import BlobMissing
from core.fingerprints import Fingerprint
from core.item_errors import DecodeFailed, ItemError, PictureLost, TooMuchMemory
from core.logs import configure_logging
from core.perceptual import fingerprint, is_flat
from core.picture_files import webp_size
from core.pictures import DEFAULT_LIMITS, PictureLimits, inspect
from core.types import WHOLE_PICTURE, Crop, PictureInfo, PictureKey
from db.blobs.store import BlobStore
from worker.decoding.memory_limit import MemoryLimit
from worker.decoding.pixel_slots import slot_view

KEPT_BYTES, MAX_KEPT_BLOCK_BYTES = 32 * 2**20, 8 * 2**20
"""Freed memory that a decoder keeps for its next picture: in total, and in the largest block. Pillow allocates huge
pictures in blocks of 16 MiB, so their memory goes back to the system at once."""

_MOST_BYTES_PER_PIXEL = 25
"""The most memory that a library takes for a pixel, measured with the large pictures of tests/corpus: JPEG 2000 with
transparency, at full size. Some libraries report a failed allocation as damage, so larger pictures are suspected."""

Answer = tuple[PictureInfo, Crop | None, NDArray[np.uint8] | None] | ItemError
"""A decoder process's answer for one picture. It contains the pixels only if they do not fit into a slot."""


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """Limits of a decoder process: seconds per picture, bytes of memory (only on Linux), and those of pictures."""

    seconds: float
    memory: int
    pictures: PictureLimits = DEFAULT_LIMITS


@dataclass(slots=True)
class _Decoder:
    """The state of a decoder process, which it keeps for its whole life."""

    store: BlobStore
    memory: Any
    slot_bytes: int
    limit: MemoryLimit
    pictures: PictureLimits = DEFAULT_LIMITS
    segmenters: set[SegmenterFile] = field(default_factory=set)
    """The segmenters that were loaded before."""
    used: bool = False
    """Whether the process has begun another call before. What that call left behind may take a part of the memory."""

    def decode_all(
        self, begin: Callable[[int], object], pictures: Sequence[PictureKey], slots: Sequence[int], spec: InputSpec
    ) -> list[Answer]:
        """Decode pictures. Before each of them, call `begin` with its position.

        Raises:
            MemoryError: a picture needs more memory than other pictures have left. Another process must decode it as
                its first and only picture. Only then does it fail with `TooMuchMemory`.
        """
        alone, self.used = len(pictures) == 1 and not self.used, True
        if spec.segmenter is not None and spec.segmenter not in self.segmenters:
            self.limit.load(partial(warm_up, spec.segmenter))
            self.segmenters.add(spec.segmenter)
        sha256s = list(dict.fromkeys(sha256 for sha256, _ in pictures))
        blobs = self._read_all(sha256s)
        seen: dict[str, tuple[Fingerprint | None, bool]] = {}
        answers: list[Answer] = []
        for position, (picture, slot) in enumerate(zip(pictures, slots, strict=True)):
            begin(position)
            blob = blobs[picture[0]]
            if isinstance(blob, PictureLost):
                answers.append(blob)
                continue
            try:
                answers.append(self._decode(blob, picture, slot, spec, seen))
            except MemoryError:
                if not alone:
                    raise
                answers.append(TooMuchMemory(self._memory_needed()))
            except DecodeFailed as error:
                lacks_memory = self._may_lack_memory(blob)
                if lacks_memory and not alone:
                    raise MemoryError from error
                answers.append(DecodeFailed(f"{error.detail}; or {self._memory_needed()}") if lacks_memory else error)
            except ItemError as error:
                answers.append(error)
        return answers

    def _memory_needed(self) -> str:
        megabytes = self.limit.resident // 2**20
        return f"decoding needs more memory than LOOKBOOK_DECODE_MEGABYTES allows ({megabytes} MiB)"

    def _may_lack_memory(self, data: bytes) -> bool:
        """Return whether a picture that cannot be decoded is so large that the reason may be too little memory."""
        size = webp_size(data)
        if size is None:
            try:
                info = inspect(data, self.pictures)
            except ItemError:
                return False
            size = info.width, info.height
        return size[0] * size[1] * _MOST_BYTES_PER_PIXEL > self.limit.resident

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
        prepared = prepare(data, spec, Crop.from_key(crop_key), limits=self.pictures)
        if sha256 not in seen:
            # The fingerprint is always that of the whole picture. A crop whose whole picture is not in the same call
            # therefore costs decoding the picture twice, which is acceptable because such crops are rare.
            whole = prepared
            if crop_key != WHOLE_PICTURE:
                whole = prepare(data, InputSpec(spec.size), limits=self.pictures)
            seen[sha256] = fingerprint(whole.picture), is_flat(whole.picture)
        mark, flat = seen[sha256]
        info = replace(prepared.info, fingerprint=mark, flat=flat)
        if spec.byte_count > self.slot_bytes:
            return info, prepared.seen, prepared.pixels
        slot_view(self.memory, slot, self.slot_bytes, spec.shape)[:] = prepared.pixels
        return info, prepared.seen, None


_decoder: _Decoder | None = None


def start_decoder(
    blobs: BlobStore, limits: DecoderLimits, memory: Any, slot_bytes: int, niceness: int, log_level: str
) -> None:
    global _decoder  # noqa: PLW0603 (a decoder process serves one store for its whole life)
    _decoder = _Decoder(blobs, memory, slot_bytes, MemoryLimit(limits.memory), limits.pictures)
    configure_logging(log_level, "decoder")
    os.nice(niceness)
    keep_freed_memory(KEPT_BYTES, MAX_KEPT_BLOCK_BYTES)
    # NumPy sets itself up on first use. That must happen before the memory limit applies.
    fingerprint(np.zeros((32, 32, 3), np.uint8))
    _decoder.limit.apply()


def decode_call(
    begin: Callable[[int], object], pictures: list[PictureKey], slots: list[int], spec: InputSpec
) -> list[Answer]:
    assert _decoder is not None
    return _decoder.decode_all(begin, pictures, slots, spec)

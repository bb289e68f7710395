"""The decode step: pictures are opened in processes of their own, with a memory limit and a deadline.

A bad picture fails one item. A picture that kills or stalls its decoder costs one item too: the call that held it is
repeated picture by picture.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pebble import ProcessExpired, ProcessPool

from classifier.prepare import InputSpec, Prepared, prepare
from core.errors import DecodeFailed, DecodeTimeout, ItemError
from core.types import Crop
from db.blob_store import LocalBlobStore
from db.recording import PictureKey

if TYPE_CHECKING:
    from pebble import ProcessFuture

PICTURES_PER_CALL = 8
"""Few enough that both decoders get work from one chunk, enough that the call itself costs nothing."""

Decoded = Prepared | ItemError

_store: LocalBlobStore | None = None


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """What one decoder process may use: seconds a call, bytes of address space (enforced on Linux)."""

    seconds: float
    address_space: int


class Decoders:
    """A pool of decoder processes, shared by all threads of a worker."""

    def __init__(self, blobs_folder: Path, processes: int, limits: DecoderLimits) -> None:
        self._limits = limits
        # Spawned, not forked: the worker has threads, and a fork would copy their locks in any state.
        self._pool = ProcessPool(
            max_workers=processes,
            initializer=_start_decoder,
            initargs=(blobs_folder, limits.address_space),
            context=multiprocessing.get_context("spawn"),
        )

    def decode(self, pictures: Sequence[PictureKey], spec: InputSpec) -> Iterator[list[tuple[PictureKey, Decoded]]]:
        """Decode pictures, in lists as their calls end, in the order given.

        Raises:
            BlobMissing: a blob is not in the store; that is no picture's fault, so no item fails by it.
        """
        calls = [pictures[start : start + PICTURES_PER_CALL] for start in range(0, len(pictures), PICTURES_PER_CALL)]
        futures = [self._schedule(call, spec) for call in calls]
        for call, future in zip(calls, futures, strict=True):
            yield list(zip(call, self._results(call, future, spec), strict=True))

    def _schedule(self, call: Sequence[PictureKey], spec: InputSpec) -> ProcessFuture[list[Decoded]]:
        return self._pool.schedule(_decode_call, args=[list(call), spec], timeout=self._limits.seconds)

    def _results(
        self, call: Sequence[PictureKey], future: ProcessFuture[list[Decoded]], spec: InputSpec
    ) -> list[Decoded]:
        try:
            decoded: list[Decoded] = future.result()
            return decoded
        except FutureTimeout:
            error: ItemError = DecodeTimeout(f"decoding took more than {self._limits.seconds:g} s")
        except ProcessExpired as expired:
            error = DecodeFailed(f"the decoder process ended with code {expired.exitcode}")
        if len(call) == 1:
            return [error]
        return [
            result for picture in call for result in self._results([picture], self._schedule([picture], spec), spec)
        ]

    def close(self) -> None:
        self._pool.stop()
        self._pool.join()


def _start_decoder(blobs_folder: Path, address_space: int) -> None:
    global _store  # noqa: PLW0603 (a decoder process serves one store for its whole life)
    _store = LocalBlobStore(blobs_folder)
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))


def _decode_call(pictures: list[PictureKey], spec: InputSpec) -> list[Decoded]:
    return [_decode_one(sha256, crop_key, spec) for sha256, crop_key in pictures]


def _decode_one(sha256: str, crop_key: str, spec: InputSpec) -> Decoded:
    assert _store is not None
    try:
        return prepare(_store.read(sha256), spec, Crop.from_key(crop_key))
    except ItemError as error:
        return error
    except MemoryError:
        return DecodeFailed("decoding needs more memory than one picture may use")

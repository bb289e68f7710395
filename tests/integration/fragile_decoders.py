"""A decoder process whose decoding library has fatal bugs. It imports little, because each process imports it anew."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import worker.decoding.decoder
from classifier.prepare import InputSpec, Prepared, prepare
from core.item_errors import DecodeFailed
from core.settings import PROJECT
from db.blobs.store import BlobStore
from worker.decoding.memory_limit import MemoryLimit

SPEC = InputSpec(32)
SUICIDE, STALL = b"picture that kills its decoder", b"picture that stalls its decoder"
KILLED_ONCE = b"decoder killed once, unless this file exists: "
"""The picture that kills its decoder once. The path of a file follows, which marks that the decoder was killed."""
FILLS_MEMORY = b"picture that needs all memory of a new decoder"
TOO_LARGE = b"picture that needs more memory than any decoder has"
BAD_LATER = b"picture that is refused as soon as this file exists: "


def good_files(count: int) -> list[bytes]:
    return [path.read_bytes() for path in sorted((PROJECT / "samples" / "pictures").iterdir())[:count]]


_decoded: list[bytes] = []
"""The pictures that this process has decoded before."""


def prepare_or_die(data: bytes, *_: object, **_limits: object) -> Prepared:
    """Replaces a decoding library that has a fatal bug, or that leaks memory."""
    _decoded.append(data)
    if data == TOO_LARGE or (data == FILLS_MEMORY and len(_decoded) > 1):
        raise MemoryError
    if data == FILLS_MEMORY:
        return prepare(good_files(1)[0], SPEC)
    if data.startswith(KILLED_ONCE):
        marker = Path(data.removeprefix(KILLED_ONCE).decode())
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return prepare(good_files(1)[0], SPEC)
    if data.startswith(BAD_LATER):
        marker, pause = Path(data.removeprefix(BAD_LATER).decode()), threading.Event()
        while not marker.exists():
            pause.wait(0.02)
        raise DecodeFailed("refused")
    if data == SUICIDE:
        os._exit(11)
    if data == STALL:
        threading.Event().wait()
    return prepare(data, SPEC)


def fragile_start(blobs: BlobStore, _space: int, memory: Any, slot_bytes: int, _niceness: int, _log_level: str) -> None:
    worker.decoding.decoder._decoder = worker.decoding.decoder._Decoder(blobs, memory, slot_bytes, MemoryLimit(2**32))
    # No undo is needed, because the patched process is the decoder's own.
    vars(worker.decoding.decoder)["prepare"] = prepare_or_die

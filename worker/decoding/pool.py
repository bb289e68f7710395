"""The decode step: pictures are opened in processes of their own, with a memory limit and a deadline.

A bad picture fails one item. A picture that kills or stalls its decoder costs one item too: the call that held it is
repeated in halves until it is alone.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from classifier.prepare import InputSpec, prepare
from classifier.runtime import BULK_NICENESS
from core.allocation import keep_freed_memory
from core.errors import DecodeFailed, DecodeTimeout, ItemError
from core.perceptual import fingerprint
from core.types import WHOLE_PICTURE, Crop, PictureInfo, PictureKey
from db.blobs.store import BlobStore
from worker.decoding.pixel_slots import PixelSlots, slot_view
from worker.decoding.process import DecoderProcess, ProcessDied, ProcessLate
from worker.fair_queue import FairQueue

log = structlog.get_logger(__name__)

PICTURES_PER_CALL = 8
"""Enough that the calls themselves cost little, few enough that a job shares its decoders fairly."""

CALLS_PER_PROCESS = 2
"""One in the decoder's hands and one ready for it, so that it never waits for us."""

DEATHS = 2
"""So many decoders must have died of one picture before it is the picture's fault."""

RESTART_SECONDS = 2.0
"""Until another start is tried, where a decoder could not even start."""

IDLE_SECONDS = 1.0
"""How often an idle decoder is looked after: one that has died is replaced before it is needed."""

SLOTS_RESERVED = 16
"""Places for pixels that only interactive pictures may take."""

MEMORY_KEPT, LARGEST_KEPT = 32 * 2**20, 8 * 2**20
"""Bytes that a decoder keeps for its next picture, and of what size at most each: a huge one's (Pillow allocates them
in blocks of 16 MiB) goes back at once."""


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """A decoded picture: `pixels` uint8 [side, side, 3], valid until `release` is called."""

    pixels: NDArray[np.uint8]
    info: PictureInfo
    release: Callable[[], None]


DecodeOutcome = DecodedPicture | ItemError
_Answer = PictureInfo | tuple[PictureInfo, NDArray[np.uint8]] | ItemError
"""What a decoder process says of one picture; the pixels come along only where they do not fit into a slot."""


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """What one decoder process may use: seconds a call, bytes of address space (enforced on Linux)."""

    seconds: float
    address_space: int


@dataclass(slots=True)
class _Call:
    lane: _DecoderGroup
    pictures: list[PictureKey]
    spec: InputSpec
    slots: list[int] = field(default_factory=list)
    """Where the pixels go, one place a picture; taken when the call starts."""
    deaths: int = 0
    """Decoder processes that died of it, while it held one picture alone."""
    result: Future[list[DecodeOutcome]] = field(default_factory=Future)


_Process = DecoderProcess[_Call]


class _DecoderGroup:
    """Calls that wait for some of the decoder processes; `reserved` places for pixels are not for them."""

    def __init__(self, start: Callable[[], _Process], reserved: int) -> None:
        self.start = start
        self.reserved = reserved
        self.queue: FairQueue[_Call] = FairQueue()


class DecoderPool:
    """Decoder processes, shared by all threads of a worker; in which order they are used, a `FairQueue` says.

    Interactive pictures have a process of their own: the others are always in the middle of bulk calls. Each process
    has a thread that feeds it, and starts another in its place when it has died.
    """

    def __init__(self, blobs: BlobStore, processes: int, limits: DecoderLimits, slots: int, side: int) -> None:
        """`slots` pictures of up to `side` x `side` pixels may be decoded and not yet released at once."""
        self._limits = limits
        # A store that does not answer must say so before the call's deadline: that is no picture's fault.
        self._call_seconds = limits.seconds + blobs.max_call_seconds
        # Fingerprints are small products of matrices: dividing them among threads costs ten times what they do.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Spawned, not forked: the worker has threads, and a fork would copy their locks in any state.
        context = multiprocessing.get_context("spawn")
        self._slots = PixelSlots(context, slots + SLOTS_RESERVED, side)

        def lane(niceness: int, reserved: int) -> _DecoderGroup:
            arguments = (_decode_call, _start_decoder, blobs, limits.address_space, self._slots.memory, side, niceness)
            return _DecoderGroup(partial(DecoderProcess, context, *arguments), reserved)

        self._interactive, self._bulk = lane(0, 0), lane(BULK_NICENESS, SLOTS_RESERVED)
        # Reentrant: the end of one half may be the end of the whole, and letting go of pixels changes something, too.
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        # Started here, all at once: the first picture should not have to wait for that.
        self._threads = [
            threading.Thread(target=self._feed, args=(lane, lane.start()), name="feeder", daemon=True)
            for lane in (self._interactive, *[self._bulk] * processes)
        ]
        for thread in self._threads:
            thread.start()

    def decode(
        self, pictures: Sequence[PictureKey], spec: InputSpec, job: str, *, interactive: bool
    ) -> Iterator[list[tuple[PictureKey, DecodeOutcome]]]:
        """Decode pictures, in lists as their calls end, in the order given.

        Raises:
            BlobMissing, BlobStoreUnavailable: a blob cannot be read; that is no picture's fault, and fails no item.
        """
        starts = range(0, len(pictures), PICTURES_PER_CALL)
        lane = self._interactive if interactive else self._bulk
        calls = [_Call(lane, list(pictures[start : start + PICTURES_PER_CALL]), spec) for start in starts]
        with self._changed:
            if self._closed:
                raise RuntimeError("the decoders are closed")
            for call in calls:
                lane.queue.push(call, job, time.monotonic(), interactive=interactive)
            self._changed.notify_all()
        try:
            while calls:
                call = calls.pop(0)
                yield list(zip(call.pictures, call.result.result(), strict=True))
        finally:
            # Whoever asked has given up: nobody will read these.
            for call in calls:
                call.result.add_done_callback(_let_go)

    def _feed(self, lane: _DecoderGroup, process: _Process) -> None:
        """Keep a decoder process busy until we are closed, and another when it has died."""
        while not self._serve(lane, process):
            with self._changed:
                # Back off: what keeps decoders from starting seldom passes at once.
                if self._changed.wait_for(lambda: self._closed, 0 if process.started else RESTART_SECONDS):
                    return
            process = lane.start()

    def _serve(self, lane: _DecoderGroup, process: _Process) -> bool:
        """Feed a process; True when we are closed, False when it has died."""
        try:
            process.wait_until_started()
            while (call := self._next_call(lane, process)) is not None or process.in_hand:
                if call is not None:
                    process.send(call, (call.pictures, call.slots, call.spec))
                else:
                    self._answered(*process.answer(self._call_seconds))
        except ProcessLate:
            self._lost(process, DecodeTimeout(f"decoding took more than {self._limits.seconds:g} s"), certain=True)
            return False
        except ProcessDied:
            self._lost(process, DecodeFailed(f"the decoder process ended with code {process.exit_code}"), certain=False)
            return False
        process.close()
        return True

    def _next_call(self, lane: _DecoderGroup, process: _Process) -> _Call | None:
        """A call for a process that has room for one; None if it has something to answer first, or we are closed."""
        with self._changed:
            while not self._closed and len(process.in_hand) < CALLS_PER_PROCESS:
                call = self._pop(lane)
                if call is not None or process.in_hand:
                    return call
                self._changed.wait(IDLE_SECONDS)
                process.check()
            return None

    def _pop(self, lane: _DecoderGroup) -> _Call | None:
        if len(self._slots) - lane.reserved < PICTURES_PER_CALL:
            return None
        call = lane.queue.pop(time.monotonic())
        if call is not None and not call.slots:
            call.slots.extend(self._slots.acquire(len(call.pictures)))
        return call

    def _release(self, slot: int) -> None:
        self._slots.release(slot)
        with self._changed:
            if self._bulk.queue or self._interactive.queue:
                self._changed.notify_all()

    def _decoded(self, slot: int, answer: _Answer, spec: InputSpec) -> DecodeOutcome:
        if isinstance(answer, PictureInfo):
            return DecodedPicture(self._slots.view(slot, spec.size), answer, lambda: self._release(slot))
        self._slots.release(slot)
        if isinstance(answer, ItemError):
            return answer
        info, pixels = answer
        return DecodedPicture(pixels, info, lambda: None)

    def _answered(self, call: _Call, answers: list[_Answer] | Exception) -> None:
        if isinstance(answers, Exception):
            self._fail(call, answers)
            return
        pairs = zip(call.slots, answers, strict=True)
        call.result.set_result([self._decoded(slot, answer, call.spec) for slot, answer in pairs])

    def _fail(self, call: _Call, error: Exception) -> None:
        for slot in call.slots:
            self._release(slot)
        call.result.set_exception(error)

    def _lost(self, process: _Process, error: ItemError, *, certain: bool) -> None:
        """A process has died: its first call is suspected, those that were sent ahead are not."""
        if not process.in_hand:
            log.warning("decoder_died", reason=error.detail)
            return
        suspect, *innocent = process.in_hand
        log.warning("decoder_died", reason=error.detail, pictures=len(suspect.pictures))
        self._push(innocent)
        self._again(suspect, error, certain=certain)

    def _push(self, calls: Sequence[_Call]) -> None:
        """Have calls repeated before anything else: somebody has waited for them already."""
        with self._changed:
            for call in calls:
                call.lane.queue.push(call, "", time.monotonic(), interactive=True)
            self._changed.notify_all()

    def _again(self, call: _Call, error: ItemError, *, certain: bool) -> None:
        """Repeat in halves a call whose decoder died or stalled; a picture that was alone in it is the culprit.

        Unless `certain`, it has to happen twice: a process may also be killed for what others do to the machine.
        """
        if len(call.pictures) == 1:
            call.deaths += 1
            if certain or call.deaths == DEATHS:
                call.result.set_result([self._decoded(call.slots[0], error, call.spec)])
            else:
                self._push([call])
            return
        middle = len(call.pictures) // 2
        halves = [
            _Call(call.lane, call.pictures[part], call.spec, call.slots[part])
            for part in (slice(middle), slice(middle, None))
        ]

        def join(_: Future[list[DecodeOutcome]]) -> None:
            with self._changed:
                if all(half.result.done() for half in halves) and not call.result.done():
                    _pass_on(halves, call.result)

        for half in halves:
            half.result.add_done_callback(join)
        self._push(halves)

    def close(self) -> None:
        """Answer what the processes have in hand, then stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for lane in (self._interactive, self._bulk):
            while (call := lane.queue.pop(time.monotonic())) is not None:
                self._fail(call, RuntimeError("the decoders are closed"))


def _let_go(result: Future[list[DecodeOutcome]]) -> None:
    if result.cancelled() or result.exception() is not None:
        return
    for decoded in result.result():
        if isinstance(decoded, DecodedPicture):
            decoded.release()


def _pass_on(halves: Sequence[_Call], result: Future[list[DecodeOutcome]]) -> None:
    try:
        decoded = [one for half in halves for one in half.result.result()]
    except BaseException as error:  # noqa: BLE001 (handed to whoever waits for the whole)
        for half in halves:
            _let_go(half.result)
        result.set_exception(error)
    else:
        result.set_result(decoded)


@dataclass(frozen=True, slots=True)
class _Decoder:
    """What a decoder process holds for its whole life."""

    store: BlobStore
    memory: Any
    side: int

    def decode_all(self, pictures: Sequence[PictureKey], slots: Sequence[int], spec: InputSpec) -> list[_Answer]:
        blobs = self.store.read_all([sha256 for sha256, _ in pictures])
        return [
            self._decode(data, crop_key, slot, spec)
            for data, (_, crop_key), slot in zip(blobs, pictures, slots, strict=True)
        ]

    def _decode(self, data: bytes, crop_key: str, slot: int, spec: InputSpec) -> _Answer:
        try:
            prepared = prepare(data, spec, Crop.from_key(crop_key))
        except ItemError as error:
            return error
        except MemoryError:
            return DecodeFailed("decoding needs more memory than one picture may use")
        # Of the whole picture, whatever part of it is classified: a crop, which is rare, costs decoding it again.
        whole = prepared if crop_key == WHOLE_PICTURE else prepare(data, spec)
        info = replace(prepared.info, fingerprint=fingerprint(whole.picture))
        if spec.size > self.side:
            return info, prepared.pixels
        slot_view(self.memory, slot, self.side, spec.size)[:] = prepared.pixels
        return info


_decoder: _Decoder | None = None


def _start_decoder(blobs: BlobStore, address_space: int, memory: Any, side: int, niceness: int) -> None:
    global _decoder  # noqa: PLW0603 (a decoder process serves one store for its whole life)
    _decoder = _Decoder(blobs, memory, side)
    os.nice(niceness)
    keep_freed_memory(MEMORY_KEPT, LARGEST_KEPT)
    # Whatever NumPy sets up on first use is set up before memory is short.
    fingerprint(np.zeros((side, side, 3), np.uint8))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))


def _decode_call(pictures: list[PictureKey], slots: list[int], spec: InputSpec) -> list[_Answer]:
    assert _decoder is not None
    return _decoder.decode_all(pictures, slots, spec)

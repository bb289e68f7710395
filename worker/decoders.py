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
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pebble import ProcessExpired, ProcessPool

from classifier.prepare import InputSpec, prepare
from classifier.runtime import BULK_NICENESS
from core.errors import DecodeFailed, DecodeTimeout, ItemError
from core.types import Crop, PictureInfo, PictureKey
from db.blobs.store import BlobStore
from worker.fair_queue import FairQueue
from worker.pixel_slots import PixelSlots, slot_view

PICTURES_PER_CALL = 8
"""Enough that the calls themselves cost little, few enough that a job shares its decoders fairly."""

CALLS_PER_PROCESS = 2
"""One in the decoder's hands and one ready for it, so that it never waits for us."""

SLOTS_RESERVED = 16
"""Places for pixels that only interactive pictures may take."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A decoded picture: `pixels` uint8 [side, side, 3], valid until `release` is called."""

    pixels: NDArray[np.uint8]
    info: PictureInfo
    release: Callable[[], None]

    def let_go(self, _: object) -> None:
        """`release`, as the callback of whatever used the pixels."""
        self.release()


Decoded = Ready | ItemError
_Answer = PictureInfo | tuple[PictureInfo, NDArray[np.uint8]] | ItemError
"""What a decoder process says of one picture; the pixels come along only where they do not fit into a slot."""


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """What one decoder process may use: seconds a call, bytes of address space (enforced on Linux)."""

    seconds: float
    address_space: int


@dataclass(frozen=True, slots=True)
class _Call:
    lane: _Lane
    pictures: list[PictureKey]
    spec: InputSpec
    slots: list[int] = field(default_factory=list)
    """Where the pixels go, one place a picture; taken when the call starts."""
    result: Future[list[Decoded]] = field(default_factory=Future)


class _Lane:
    """A pool of decoder processes and the calls that wait for it."""

    def __init__(self, pool: ProcessPool, processes: int) -> None:
        self.pool = pool
        self.queue: FairQueue[_Call] = FairQueue()
        self.free = processes * CALLS_PER_PROCESS


class Decoders:
    """Decoder processes, shared by all threads of a worker; in which order they are used, a `FairQueue` says.

    Interactive pictures have a process of their own: the others are always in the middle of bulk calls.
    """

    def __init__(self, blobs: BlobStore, processes: int, limits: DecoderLimits, slots: int, side: int) -> None:
        """`slots` pictures of up to `side` x `side` pixels may be decoded and not yet released at once."""
        self._limits = limits
        # A store that does not answer must say so before the call's deadline: that is no picture's fault.
        self._call_seconds = limits.seconds + blobs.patience
        # Spawned, not forked: the worker has threads, and a fork would copy their locks in any state.
        context = multiprocessing.get_context("spawn")
        self._slots = PixelSlots(context, slots + SLOTS_RESERVED, side)

        def lane(processes: int, niceness: int) -> _Lane:
            arguments = (blobs, limits.address_space, self._slots.memory, side, niceness)
            pool = ProcessPool(processes, initializer=_start_decoder, initargs=arguments, context=context)
            return _Lane(pool, processes)

        self._interactive, self._bulk = lane(1, 0), lane(processes, BULK_NICENESS)
        # Reentrant: the end of one half may be the end of the whole.
        self._lock = threading.RLock()
        self._closed = False
        self._start_processes(processes)

    def _start_processes(self, processes: int) -> None:
        # A pool starts its processes with its first calls: the first picture should not have to wait for that.
        for lane, count in ((self._interactive, 1), (self._bulk, processes)):
            for _ in range(count):
                lane.pool.schedule(_nothing)

    def decode(
        self, pictures: Sequence[PictureKey], spec: InputSpec, job: str, *, interactive: bool
    ) -> Iterator[list[tuple[PictureKey, Decoded]]]:
        """Decode pictures, in lists as their calls end, in the order given.

        Raises:
            BlobMissing, BlobStoreUnavailable: a blob cannot be read; that is no picture's fault, and fails no item.
        """
        starts = range(0, len(pictures), PICTURES_PER_CALL)
        lane = self._interactive if interactive else self._bulk
        calls = [_Call(lane, list(pictures[start : start + PICTURES_PER_CALL]), spec) for start in starts]
        with self._lock:
            for call in calls:
                lane.queue.push(call, job, time.monotonic(), interactive=interactive)
        self._start_calls()
        try:
            while calls:
                call = calls.pop(0)
                yield list(zip(call.pictures, call.result.result(), strict=True))
        finally:
            # Whoever asked has given up: nobody will read these.
            for call in calls:
                call.result.add_done_callback(_let_go)

    def _start_calls(self) -> None:
        """Hand calls to the pools while they have room for them, and their pixels have a place to go."""
        for lane, reserved in ((self._interactive, 0), (self._bulk, SLOTS_RESERVED)):
            while (call := self._next_call(lane, reserved)) is not None:
                self._start(call)

    def _next_call(self, lane: _Lane, reserved: int) -> _Call | None:
        with self._lock:
            if self._closed or lane.free == 0 or len(self._slots) - reserved < PICTURES_PER_CALL:
                return None
            call = lane.queue.pop(time.monotonic())
            if call is not None:
                lane.free -= 1
                if not call.slots:
                    call.slots.extend(self._slots.acquire(len(call.pictures)))
            return call

    def _start(self, call: _Call) -> None:
        arguments = [call.pictures, call.slots, call.spec]
        future = call.lane.pool.schedule(_decode_call, args=arguments, timeout=self._call_seconds)
        future.add_done_callback(lambda done: self._ended(call, done))

    def _release(self, slot: int) -> None:
        self._slots.release(slot)
        self._start_calls()

    def _decoded(self, slot: int, answer: _Answer, spec: InputSpec) -> Decoded:
        if isinstance(answer, PictureInfo):
            return Ready(self._slots.view(slot, spec.size), answer, lambda: self._release(slot))
        self._slots.release(slot)
        if isinstance(answer, ItemError):
            return answer
        info, pixels = answer
        return Ready(pixels, info, lambda: None)

    def _ended(self, call: _Call, future: Future[list[_Answer]]) -> None:
        try:
            answers = zip(call.slots, future.result(), strict=True)
            call.result.set_result([self._decoded(slot, answer, call.spec) for slot, answer in answers])
        except FutureTimeout:
            self._again(call, DecodeTimeout(f"decoding took more than {self._limits.seconds:g} s"))
        except ProcessExpired as expired:
            self._again(call, DecodeFailed(f"the decoder process ended with code {expired.exitcode}"))
        except BaseException as error:  # noqa: BLE001 (handed to whoever waits for the call)
            for slot in call.slots:
                self._slots.release(slot)
            call.result.set_exception(error)
        with self._lock:
            call.lane.free += 1
        self._start_calls()

    def _again(self, call: _Call, error: ItemError) -> None:
        """Repeat in halves a call whose decoder died or stalled; a picture that was alone in it is the culprit."""
        if len(call.pictures) == 1:
            call.result.set_result([self._decoded(call.slots[0], error, call.spec)])
            return
        middle = len(call.pictures) // 2
        halves = [
            _Call(call.lane, call.pictures[part], call.spec, call.slots[part])
            for part in (slice(middle), slice(middle, None))
        ]

        def join(_: Future[list[Decoded]]) -> None:
            with self._lock:
                if all(half.result.done() for half in halves) and not call.result.done():
                    _pass_on(halves, call.result)

        with self._lock:
            for half in halves:
                call.lane.queue.push(half, "", time.monotonic(), interactive=True)
        for half in halves:
            half.result.add_done_callback(join)

    def close(self) -> None:
        with self._lock:
            self._closed = True
        for lane in (self._interactive, self._bulk):
            lane.pool.stop()
            lane.pool.join()


def _let_go(result: Future[list[Decoded]]) -> None:
    if result.cancelled() or result.exception() is not None:
        return
    for decoded in result.result():
        if isinstance(decoded, Ready):
            decoded.release()


def _pass_on(halves: Sequence[_Call], result: Future[list[Decoded]]) -> None:
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
        if spec.size > self.side:
            return prepared.info, prepared.pixels
        slot_view(self.memory, slot, self.side, spec.size)[:] = prepared.pixels
        return prepared.info


_decoder: _Decoder | None = None


def _start_decoder(blobs: BlobStore, address_space: int, memory: Any, side: int, niceness: int) -> None:
    global _decoder  # noqa: PLW0603 (a decoder process serves one store for its whole life)
    _decoder = _Decoder(blobs, memory, side)
    os.nice(niceness)
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))


def _nothing() -> None:
    """What the first call of a process does."""


def _decode_call(pictures: list[PictureKey], slots: list[int], spec: InputSpec) -> list[_Answer]:
    assert _decoder is not None
    return _decoder.decode_all(pictures, slots, spec)

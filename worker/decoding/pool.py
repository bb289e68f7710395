"""The decode step: decoder processes open the pictures, each process with a memory limit and a deadline.

A bad picture fails one item. A picture that kills or stalls its decoder also fails only one item: the decoder says
which picture of a call it begins, and the others are decoded again without it.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np
import structlog
from numpy.typing import NDArray

from classifier.prepare import InputSpec
from classifier.runtime import BULK_NICENESS
from core import metrics
from core.item_errors import DecodeFailed, DecodeTimeout, ItemError, TooMuchMemory
from core.types import Crop, PictureInfo, PictureKey
from db.blobs.store import BlobStore
from worker.decoding.decoder import Answer, DecoderLimits, decode_call, start_decoder
from worker.decoding.pixel_slots import PixelSlots
from worker.decoding.process import DecoderProcess, ProcessDied, ProcessOutOfMemory, ProcessTimedOut
from worker.fair_queue import FairQueue

log = structlog.get_logger(__name__)

PICTURES_PER_CALL = 8
"""Pictures in one call. Fewer would cost more per picture; more would let one job keep a decoder for too long."""

CALLS_PER_PROCESS = 2
"""Calls that a decoder process has at a time: one that it works on and the next one, so that it never waits."""

DEATHS_TO_BLAME = 2
"""Decoders that must die on the same picture before the picture is blamed for it."""

RESTART_SECONDS = 2.0
"""Seconds until another start is tried after a decoder process failed to start."""

IDLE_SECONDS = 1.0
"""Seconds between two checks of an idle decoder process, so that a dead one is replaced before it is needed."""

SLOTS_RESERVED = 16
"""Pixel slots that only interactive pictures may use."""


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """A decoded picture. `pixels`, uint8 [*shape of the input], are valid until `release` is called."""

    pixels: NDArray[np.uint8]
    info: PictureInfo
    seen: Crop | None
    """The part of the picture that `pixels` show, as in `Prepared`."""
    release: Callable[[], None]


DecodeOutcome = DecodedPicture | ItemError


@dataclass(slots=True, eq=False)
class _Call:
    decoders: _DecoderSet
    pictures: list[PictureKey]
    spec: InputSpec
    slots: list[int] = field(default_factory=list)
    """Where the pixels go, one slot per picture. They are acquired when the call starts."""
    deaths: int = 0
    """Decoder processes that died on this call while it held a single picture."""
    sent_at: float = 0.0
    """When the call was sent to its process."""
    result: Future[list[DecodeOutcome]] = field(default_factory=Future)


_Process = DecoderProcess[_Call]


class _DecoderSet:
    """One of the two sets of decoder processes, interactive and bulk, with the calls that wait for it."""

    def __init__(self, start_process: Callable[[], _Process], reserved_slots: int) -> None:
        self.start_process = start_process
        self.reserved_slots = reserved_slots
        """Pixel slots that this set must leave free for the other one."""
        self.queue: FairQueue[_Call] = FairQueue()


class DecoderPool:
    """The decoder processes of a worker. All its threads share them, in the order of a `FairQueue`.

    Interactive pictures have a process of their own, because the other processes are busy with bulk calls. Each process
    has a feeder thread, which sends it calls and replaces it when it has died.
    """

    def __init__(self, blobs: BlobStore, processes: int, limits: DecoderLimits, slots: int, slot_bytes: int) -> None:
        """Allow `slots` pictures, with inputs of up to `slot_bytes`, to be decoded and not yet released at a time."""
        self._limits = limits
        # The blob store's own timeout must end before the deadline. Otherwise a store that does not answer would
        # look like a picture that stalls its decoder.
        self._deadline = limits.seconds + blobs.max_call_seconds
        # A fingerprint is a small matrix product. Dividing it among threads takes ten times as long as computing it.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Spawn rather than fork: the worker has threads, and a fork would copy their locks in whatever state they are.
        context = multiprocessing.get_context("spawn")
        self._slots = PixelSlots(context, slots + SLOTS_RESERVED, slot_bytes)

        def make_set(niceness: int, reserved_slots: int) -> _DecoderSet:
            level = logging.getLevelName(logging.getLogger().level)
            arguments = (decode_call, start_decoder, blobs, limits, self._slots.memory, slot_bytes, niceness, level)
            return _DecoderSet(partial(DecoderProcess, context, *arguments), reserved_slots)

        self._interactive, self._bulk = make_set(0, 0), make_set(BULK_NICENESS, SLOTS_RESERVED)
        # Reentrant, because a thread that holds this lock can need it again: the end of one half may end the whole
        # call, and then releases pixels.
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        # All processes start here at once, so that the first picture need not wait for them.
        self._threads = [
            threading.Thread(
                target=self._keep_fed, args=(decoders, decoders.start_process()), name="decoder-feeder", daemon=True
            )
            for decoders in (self._interactive, *[self._bulk] * processes)
        ]
        for thread in self._threads:
            thread.start()

    def decode(
        self, pictures: Sequence[PictureKey], spec: InputSpec, job: str, *, interactive: bool
    ) -> Iterator[list[tuple[PictureKey, DecodeOutcome]]]:
        """Decode pictures. Yield them in the given order, as one list for each call, as soon as that call has ended.

        Raises:
            BlobStoreUnavailable: the blobs cannot be read. This is not the pictures' fault and fails no item.
        """
        starts = range(0, len(pictures), PICTURES_PER_CALL)
        decoders = self._interactive if interactive else self._bulk
        calls = [_Call(decoders, list(pictures[start : start + PICTURES_PER_CALL]), spec) for start in starts]
        with self._changed:
            if self._closed:
                raise RuntimeError("the decoders are closed")
            for call in calls:
                decoders.queue.push(call, job, time.monotonic(), interactive=interactive)
            self._changed.notify_all()
        try:
            while calls:
                call = calls.pop(0)
                yield list(zip(call.pictures, call.result.result(), strict=True))
        finally:
            # The caller has stopped reading, so the pixels of the remaining calls must be released here.
            for call in calls:
                call.result.add_done_callback(_release_pixels)

    def _keep_fed(self, decoders: _DecoderSet, process: _Process) -> None:
        """Feed a decoder process until the pool is closed, and replace the process whenever it dies."""
        again: list[_Call] = []
        while not self._feed(decoders, process, again):
            with self._changed:
                # A process that failed to start will probably fail again, so wait before the next try.
                if self._changed.wait_for(lambda: self._closed, 0 if process.started else RESTART_SECONDS):
                    break
            process = decoders.start_process()
        self._push_first(again)

    def _feed(self, decoders: _DecoderSet, process: _Process, again: list[_Call]) -> bool:
        """Send calls to a process and receive its answers. Return True if the pool is closed, False if it died.

        The process gets the calls of `again` first. When it dies, `again` holds what the next process must do first.
        """
        try:
            process.wait_until_started()
            answered_at = 0.0
            while (call := self._next_call(decoders, process, again)) is not None or process.unanswered:
                if call is not None:
                    call.sent_at = time.monotonic()
                    process.send(call, (call.pictures, call.slots, call.spec))
                else:
                    answered, answers = process.receive_answer(self._deadline)
                    # A process begins a call when the call is there and the one before is answered.
                    began, answered_at = max(answered.sent_at, answered_at), time.monotonic()
                    metrics.DECODE_SECONDS.observe(answered_at - began)
                    metrics.DECODED_PICTURES.inc(len(answered.pictures))
                    self._finish(answered, answers)
        except ProcessTimedOut:
            late = DecodeTimeout(f"decoding took more than {self._limits.seconds:g} s")
            again += self._lost(process, late, certain=True)
            return False
        except ProcessOutOfMemory:
            again += self._lost(process, TooMuchMemory(), certain=False)
            return False
        except ProcessDied:
            died = DecodeFailed(f"the decoder process ended with code {process.exit_code}")
            again += self._lost(process, died, certain=False)
            return False
        process.close()
        return True

    def _next_call(self, decoders: _DecoderSet, process: _Process, again: list[_Call]) -> _Call | None:
        """Return a call for a process that has room for one.

        Return None if the process has to answer a call first, or if the pool is closed.
        """
        with self._changed:
            while not self._closed and len(process.unanswered) < CALLS_PER_PROCESS:
                call = again.pop() if again else self._pop(decoders)
                if call is not None or process.unanswered:
                    return call
                self._changed.wait(IDLE_SECONDS)
                process.check_alive()
            return None

    def _pop(self, decoders: _DecoderSet) -> _Call | None:
        """Return the set's next call with its pixel slots, or None if there is no call or no room for its pixels."""
        if self._slots.free() - decoders.reserved_slots < PICTURES_PER_CALL:
            return None
        call = decoders.queue.pop(time.monotonic())
        if call is not None and not call.slots:
            call.slots.extend(self._slots.acquire(len(call.pictures)))
        return call

    def _release(self, slot: int) -> None:
        """Release a slot, and wake the feeders that wait for slots."""
        self._slots.release(slot)
        with self._changed:
            if self._bulk.queue or self._interactive.queue:
                self._changed.notify_all()

    def _outcome(self, slot: int, answer: Answer, spec: InputSpec) -> DecodeOutcome:
        if isinstance(answer, ItemError):
            self._release(slot)
            return answer
        info, seen, pixels = answer
        if pixels is None:
            return DecodedPicture(self._slots.view(slot, spec.shape), info, seen, lambda: self._release(slot))
        self._release(slot)
        return DecodedPicture(pixels, info, seen, lambda: None)

    def _finish(self, call: _Call, answers: list[Answer] | Exception) -> None:
        if isinstance(answers, Exception):
            self._fail(call, answers)
            return
        pairs = zip(call.slots, answers, strict=True)
        call.result.set_result([self._outcome(slot, answer, call.spec) for slot, answer in pairs])

    def _fail(self, call: _Call, error: Exception) -> None:
        for slot in call.slots:
            self._release(slot)
        call.result.set_exception(error)

    def _lost(self, process: _Process, error: ItemError, *, certain: bool) -> list[_Call]:
        """Repeat the calls of a process that has died. Only the first one can be at fault; the others had not begun.

        Return the call with a single picture, if any, that the next process must do first.
        """
        metrics.DECODER_DEATHS.inc()
        if not process.unanswered:
            log.warning("decoder_died", reason=error.detail)
            return []
        suspect, *not_begun = process.unanswered
        log.warning("decoder_died", reason=error.detail, pictures=len(suspect.pictures))
        self._push_first(not_begun)
        return self._repeat(suspect, process.position, error, certain=certain)

    def _push_first(self, calls: Sequence[_Call]) -> None:
        """Queue calls before all others, because their callers have waited for them already."""
        with self._changed:
            for call in calls:
                call.decoders.queue.push(call, "", time.monotonic(), interactive=True)
            self._changed.notify_all()

    def _repeat(self, call: _Call, position: int | None, error: ItemError, *, certain: bool) -> list[_Call]:
        """Repeat a call whose decoder died or stalled, apart from the picture at `position`, which may be at fault.

        If the decoder had begun none of the pictures, the call is repeated in halves.
        """
        if len(call.pictures) == 1:
            return self._blame(call, error, certain=certain)
        cuts = [len(call.pictures) // 2] if position is None else [position, position + 1]
        parts = [
            _Call(call.decoders, call.pictures[start:end], call.spec, call.slots[start:end])
            for start, end in pairwise([0, *cuts, len(call.pictures)])
        ]
        suspects = [] if position is None else [parts[1]]
        parts = [part for part in parts if part.pictures]

        def combine_parts(_: Future[list[DecodeOutcome]]) -> None:
            with self._changed:
                if all(part.result.done() for part in parts) and not call.result.done():
                    _combine(parts, call.result)

        for part in parts:
            part.result.add_done_callback(combine_parts)
        self._push_first([part for part in parts if part not in suspects])
        return [again for suspect in suspects for again in self._blame(suspect, error, certain=certain)]

    def _blame(self, call: _Call, error: ItemError, *, certain: bool) -> list[_Call]:
        """Fail the single picture of a call because its decoder died or stalled, or return the call to be repeated.

        Unless the picture is `certain` to be at fault, a second decoder must die on it first, because the kernel may
        also kill a process for what other programs do to the machine. The second decoder is a new one, so that the
        pictures before leave no trace in its memory.
        """
        call.deaths += 1
        if certain or call.deaths == DEATHS_TO_BLAME:
            call.result.set_result([self._outcome(call.slots[0], error, call.spec)])
            return []
        return [call]

    def close(self) -> None:
        """Wait for the calls that were sent to a process, fail those that still wait, and end the processes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for decoders in (self._interactive, self._bulk):
            while (call := decoders.queue.pop(time.monotonic())) is not None:
                self._fail(call, RuntimeError("the decoders are closed"))


def _release_pixels(result: Future[list[DecodeOutcome]]) -> None:
    if result.cancelled() or result.exception() is not None:
        return
    for decoded in result.result():
        if isinstance(decoded, DecodedPicture):
            decoded.release()


def _combine(parts: Sequence[_Call], result: Future[list[DecodeOutcome]]) -> None:
    """End a call with the outcomes of its parts, or with the error of one of them."""
    try:
        outcomes = [outcome for part in parts for outcome in part.result.result()]
    except BaseException as error:  # noqa: BLE001 (handed to the thread that waits for the whole call)
        for part in parts:
            _release_pixels(part.result)
        result.set_exception(error)
    else:
        result.set_result(outcomes)

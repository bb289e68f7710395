"""The pictures that are being classified right now, so that identical pictures are computed only once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.types import ModelRef, PictureKey
from db.steps.recording import Outcome


class Reservation:
    """The pictures that one chunk has reserved to compute, with their outcomes so far."""

    def __init__(self) -> None:
        self.outcomes: dict[PictureKey, Outcome] = {}
        """The chunk fills this in. It is complete when the reservation ends, unless the chunk failed."""
        self._failure: BaseException = RuntimeError("the chunk that was to compute this picture left it out")
        self._ended = threading.Event()

    def end(self, failure: BaseException | None = None) -> None:
        """End the reservation, so that the chunks that wait for its outcomes go on. Ending it again changes nothing."""
        if not self._ended.is_set():
            self._failure = failure or self._failure
            self._ended.set()

    def wait_for_outcome(self, picture: PictureKey) -> Outcome:
        """Wait until the reservation ends, and return the outcome of one of its pictures.

        Raises:
            BaseException: the error with which the chunk that reserved the picture failed.
        """
        self._ended.wait()
        if picture not in self.outcomes:
            raise self._failure
        return self.outcomes[picture]


@dataclass(frozen=True, slots=True)
class WorkSplit:
    """The pictures of one chunk in two parts: those to compute, and those that another chunk is computing already."""

    reservation: Reservation = field(default_factory=Reservation)
    """This chunk's reservation of the pictures in `to_compute`. Their outcomes go into it."""
    to_compute: list[PictureKey] = field(default_factory=list)
    computed_elsewhere: dict[PictureKey, Reservation] = field(default_factory=dict)
    """Pictures that another chunk is computing, and the reservation of that chunk, from which to get the outcome."""


class PicturesInFlight:
    """The reservations of all threads of a worker process, by model and picture."""

    def __init__(self) -> None:
        self._reservations: dict[tuple[ModelRef, PictureKey], Reservation] = {}
        self._lock = threading.Lock()

    @contextmanager
    def reserving(self, model: ModelRef, pictures: Sequence[PictureKey]) -> Iterator[WorkSplit]:
        """Reserve those of `pictures` that no other chunk has reserved, until the end of the block.

        The block should record the outcomes, so that they are in the database before the reservation ends. Chunks
        that wait for a reserved picture without an outcome get the error that ended the block.
        """
        failure: BaseException | None = None
        split = WorkSplit()
        with self._lock:
            for picture in pictures:
                reservation = self._reservations.get((model, picture))
                if reservation is None:
                    self._reservations[model, picture] = split.reservation
                    split.to_compute.append(picture)
                else:
                    split.computed_elsewhere[picture] = reservation
        try:
            yield split
        except BaseException as error:
            failure = error
            raise
        finally:
            with self._lock:
                for picture in split.to_compute:
                    del self._reservations[model, picture]
            split.reservation.end(failure)

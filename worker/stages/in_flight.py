"""The pictures that are being classified right now, so that identical pictures are computed only once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.types import ModelRef, PictureKey
from db.steps.recording import Outcome


class Claim:
    """The pictures that one chunk has claimed to compute, with their outcomes so far."""

    def __init__(self) -> None:
        self.outcomes: dict[PictureKey, Outcome] = {}
        """The chunk fills this in. It is complete when the claim ends, unless the chunk failed."""
        self._failure: BaseException = RuntimeError("the chunk that was to compute this picture left it out")
        self._ended = threading.Event()

    def end(self, failure: BaseException | None = None) -> None:
        """End the claim, so that the chunks that wait for its outcomes go on. Ending it again changes nothing."""
        if not self._ended.is_set():
            self._failure = failure or self._failure
            self._ended.set()

    def wait_for_outcome(self, picture: PictureKey) -> Outcome:
        """Wait until the claim ends, and return the outcome of one of its pictures.

        Raises:
            BaseException: the error with which the chunk that claimed the picture failed.
        """
        self._ended.wait()
        if picture not in self.outcomes:
            raise self._failure
        return self.outcomes[picture]


@dataclass(frozen=True, slots=True)
class WorkSplit:
    """How the pictures of one chunk are split: some it computes itself, others another chunk is computing already."""

    claim: Claim = field(default_factory=Claim)
    """This chunk's claim on the pictures in `to_compute`. Their outcomes go into it."""
    to_compute: list[PictureKey] = field(default_factory=list)
    computed_elsewhere: dict[PictureKey, Claim] = field(default_factory=dict)
    """Pictures that another chunk is computing, and the claim of that chunk, from which to get the outcome."""


class PicturesInFlight:
    """The claims of all threads of a worker process, by model and picture."""

    def __init__(self) -> None:
        self._claims: dict[tuple[ModelRef, PictureKey], Claim] = {}
        self._lock = threading.Lock()

    @contextmanager
    def claiming(self, model: ModelRef, pictures: Sequence[PictureKey]) -> Iterator[WorkSplit]:
        """Claim those of `pictures` that no other chunk has claimed, until the end of the block.

        The block should record the outcomes, so that they are in the database before the claim is given up. Chunks that
        wait for a claimed picture without an outcome get the error that ended the block.
        """
        failure: BaseException | None = None
        split = WorkSplit()
        with self._lock:
            for picture in pictures:
                claim = self._claims.get((model, picture))
                if claim is None:
                    self._claims[model, picture] = split.claim
                    split.to_compute.append(picture)
                else:
                    split.computed_elsewhere[picture] = claim
        try:
            yield split
        except BaseException as error:
            failure = error
            raise
        finally:
            with self._lock:
                for picture in split.to_compute:
                    del self._claims[model, picture]
            split.claim.end(failure)

"""Pictures that are being classified right now: two that are identical are computed once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.types import ModelRef, PictureKey
from db.steps.recording import Outcome


class Claim:
    """Pictures that one chunk computes, and what became of them."""

    def __init__(self) -> None:
        self.outcomes: dict[PictureKey, Outcome] = {}
        """Complete once it is over, unless it failed."""
        self._failure: BaseException = RuntimeError("the chunk that was to compute this picture left it out")
        self._over = threading.Event()

    def end(self, failure: BaseException | None = None) -> None:
        """Let those go on who wait; it may end again, which changes nothing."""
        if not self._over.is_set():
            self._failure = failure or self._failure
            self._over.set()

    def wait_for_outcome(self, picture: PictureKey) -> Outcome:
        """What became of a picture, once the claim is over.

        Raises:
            BaseException: what the chunk failed with that was to compute it.
        """
        self._over.wait()
        if picture not in self.outcomes:
            raise self._failure
        return self.outcomes[picture]


@dataclass(frozen=True, slots=True)
class WorkSplit:
    """How the pictures of one chunk are shared out: whoever came first computes, the others wait for it."""

    claim: Claim = field(default_factory=Claim)
    to_compute: list[PictureKey] = field(default_factory=list)
    """What is claimed: their outcomes go into `claim`."""
    computed_elsewhere: dict[PictureKey, Claim] = field(default_factory=dict)


class PicturesInFlight:
    """Who computes what, across the threads of a worker process."""

    def __init__(self) -> None:
        self._computing: dict[tuple[ModelRef, PictureKey], Claim] = {}
        self._lock = threading.Lock()

    @contextmanager
    def claiming(self, model: ModelRef, pictures: Sequence[PictureKey]) -> Iterator[WorkSplit]:
        """Claim pictures until the end of the block, which should come after their results are recorded.

        What is claimed and has no outcome by then is left to nobody: whoever waits for it gets the block's error.
        """
        failure: BaseException | None = None
        split = WorkSplit()
        with self._lock:
            for picture in pictures:
                known = self._computing.get((model, picture))
                if known is None:
                    self._computing[model, picture] = split.claim
                    split.to_compute.append(picture)
                else:
                    split.computed_elsewhere[picture] = known
        try:
            yield split
        except BaseException as error:
            failure = error
            raise
        finally:
            with self._lock:
                for picture in split.to_compute:
                    del self._computing[model, picture]
            split.claim.end(failure)

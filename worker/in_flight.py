"""Pictures that are being classified right now: two that are identical are computed once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.types import ModelRef, PictureKey
from db.recording import Outcome


@dataclass(frozen=True, slots=True)
class Share:
    """How the pictures of one chunk are shared out: whoever came first computes, the others wait for it."""

    mine: dict[PictureKey, Future[Outcome]] = field(default_factory=dict)
    others: dict[PictureKey, Future[Outcome]] = field(default_factory=dict)


class InFlight:
    """Who computes what, across the threads of a worker process."""

    def __init__(self) -> None:
        self._computing: dict[tuple[ModelRef, PictureKey], Future[Outcome]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def sharing(self, model: ModelRef, pictures: Sequence[PictureKey]) -> Iterator[Share]:
        """Claim pictures until the end of the block, which should come after their results are recorded.

        What is claimed and has no result by then is left to nobody: whoever waits for it gets the block's error.
        """
        failure: BaseException = RuntimeError("the chunk that was to compute this picture left it out")
        share = Share()
        with self._lock:
            for picture in pictures:
                known = self._computing.get((model, picture))
                if known is None:
                    share.mine[picture] = self._computing[model, picture] = Future()
                else:
                    share.others[picture] = known
        try:
            yield share
        except BaseException as error:
            failure = error
            raise
        finally:
            with self._lock:
                for picture in share.mine:
                    del self._computing[model, picture]
            for future in share.mine.values():
                if not future.done():
                    future.set_exception(failure)

"""The clients of a campaign: they submit jobs and single pictures, cancel and retry some jobs, and poll all of them."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.client import Client, GaveUp
from tests.faults.ledger import Ledger, Submission
from tests.faults.pictures import Picture, draw
from tests.faults.shelf import Shelf

DUPLICATES = 0.05
"""Share of the pictures that were sent before."""
CANCELED, CANCELED_WITHIN = 0.2, 1.5
"""Share of the jobs that are canceled, and the longest time in seconds between acceptance and cancelation."""
SOURCES = {"uploads": 3, "archive": 1, "manifest": 1, "crawl": 1}
"""The relative frequency of each source of jobs."""
RETRIED = 0.5
"""Share of the jobs with failed items that are retried once."""
MAX_UNFINISHED_JOBS = 6
"""The clients submit no further job while this many have not ended."""
_SINGLE_WAIT, _POLL_SECONDS, _SINGLE_PAUSE = 5, 0.15, 0.25


@dataclass(slots=True)
class Stream:
    """The clients of a campaign, each in its own thread.

    One client sends single pictures all the time. Another submits jobs until `allowed` pictures were sent in total.
    """

    url: str
    seed: int
    largest: int
    """The largest number of pictures in one job."""
    ledger: Ledger
    shelf: Shelf
    ended: threading.Event = field(default_factory=threading.Event)
    submitting: threading.Event = field(default_factory=threading.Event)
    allowed: int = 0
    sent: int = 0
    _drawn: int = 0
    _named: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)
    _errors: list[BaseException] = field(default_factory=list)

    def start(self) -> None:
        self.submitting.set()
        for work in (self._submit_jobs, self._submit_singles, self._poll):
            thread = threading.Thread(target=self._run, args=(work,), name=work.__name__, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self.ended.set()
        for thread in self._threads:
            thread.join()

    @property
    def idle(self) -> bool:
        """Whether the service has accepted every submission that was begun."""
        return self.sent == sum(len(submission.pictures) for submission in self.ledger.all())

    def check(self) -> None:
        """Raise the error that ended one of the threads, if there is one."""
        if self._errors:
            raise self._errors[0]

    def client(self) -> Client:
        return Client(self.url, self.ledger, self.shelf, self.ended)

    def single(self, rng: random.Random) -> Submission:
        """Return a single picture to be submitted."""
        return self._submission(rng, 1, "classification")

    def _run(self, work: Callable[[Client, random.Random], None]) -> None:
        client = self.client()
        try:
            work(client, random.Random(f"{self.seed} {work.__name__}"))
        except GaveUp:
            return
        except BaseException as error:  # noqa: BLE001 (handed to the campaign)
            self._errors.append(error)
        finally:
            client.close()

    def _submission(self, rng: random.Random, size: int, source: str) -> Submission:
        with self._lock:
            self._named += 1
            name = f"{source} {self._named} of {self.seed}"
            # A crawl leaves out files that it cannot open, so it gets none.
            pictures = [self._picture(rng, whole=source == "crawl") for _ in range(size)]
            self.sent += size
        return Submission(name, pictures, source)

    def _picture(self, rng: random.Random, *, whole: bool) -> Picture:
        while True:
            if self._drawn and rng.random() < DUPLICATES:
                picture = draw(self.seed, rng.randrange(self._drawn))
            else:
                picture = draw(self.seed, self._drawn)
                self._drawn += 1
            if picture.error is None or not whole:
                return picture

    def _submit_jobs(self, client: Client, rng: random.Random) -> None:
        to_cancel: list[tuple[float, Submission]] = []
        while not self.ended.is_set():
            for due, submission in list(to_cancel):
                if time.monotonic() >= due:
                    to_cancel.remove((due, submission))
                    client.cancel(submission)
            busy = len(self.ledger.unfinished()) >= MAX_UNFINISHED_JOBS
            if busy or self.sent >= self.allowed or not self.submitting.is_set():
                self.ended.wait(0.05)
                continue
            (source,) = rng.choices(list(SOURCES), list(SOURCES.values()))
            submission = self._submission(rng, self._size(rng), source)
            client.submit(submission)
            if rng.random() < CANCELED:
                to_cancel.append((time.monotonic() + rng.uniform(0, CANCELED_WITHIN), submission))

    def _size(self, rng: random.Random) -> int:
        """Return a size whose logarithm is uniform: most jobs are small, a few are as large as allowed."""
        return max(1, min(self.largest, round(math.pow(self.largest, rng.random()))))

    def _try_again(self, client: Client) -> None:
        for submission in self.ledger.all():
            if submission.retried or submission.cancel_asked or submission.single or not submission.finished:
                continue
            if submission.broken and random.Random(f"{self.seed} {submission.name}").random() < RETRIED:
                client.retry(submission)

    def _submit_singles(self, client: Client, rng: random.Random) -> None:
        while not self.ended.wait(_SINGLE_PAUSE):
            if self.submitting.is_set():
                client.submit(self.single(rng), _SINGLE_WAIT)

    def _poll(self, client: Client, rng: random.Random) -> None:
        while not self.ended.wait(_POLL_SECONDS):
            # Retries run in this thread, so that no poll from before a retry is compared with one from after it.
            if self.submitting.is_set():
                self._try_again(client)
            for submission in self.ledger.unfinished():
                client.poll(submission)
            finished = [submission for submission in self.ledger.all() if submission.finished]
            if finished:
                # A finished job must not change any more.
                client.poll(rng.choice(finished))

"""What the users do meanwhile: jobs of all sizes, single pictures, some canceled, some tried again; and they look."""

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
"""Share of pictures that were sent before."""
CANCELED, CANCELED_WITHIN = 0.2, 1.5
"""Share of jobs that are canceled, and within how many seconds after they were accepted."""
SOURCES = {"uploads": 3, "archive": 1, "manifest": 1, "crawl": 1}
"""How often jobs come in which way."""
RETRIED = 0.5
"""Share of the jobs with failed items of which those are tried again, once."""
OPEN_JOBS = 6
"""No further job is submitted while this many are not over."""
_SINGLE_WAIT, _POLL_SECONDS, _SINGLE_PAUSE = 5, 0.15, 0.25


@dataclass(slots=True)
class Stream:
    """The users. Single pictures come all the time; `allowed` says how many pictures jobs may fill that up to."""

    url: str
    seed: int
    largest: int
    """Most pictures in one job."""
    ledger: Ledger
    shelf: Shelf
    over: threading.Event = field(default_factory=threading.Event)
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
        self.over.set()
        for thread in self._threads:
            thread.join()

    @property
    def idle(self) -> bool:
        """Whether all that was to be submitted is accepted."""
        return self.sent == sum(len(submission.pictures) for submission in self.ledger.all())

    def check(self) -> None:
        """Raise what ended one of the threads."""
        if self._errors:
            raise self._errors[0]

    def client(self) -> Client:
        return Client(self.url, self.ledger, self.shelf, self.over)

    def single(self, chance: random.Random) -> Submission:
        """A picture of its own, to be submitted."""
        return self._submission(chance, 1, "classification")

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

    def _submission(self, chance: random.Random, size: int, source: str) -> Submission:
        with self._lock:
            self._named += 1
            name = f"{source} {self._named} of {self.seed}"
            # What a crawl cannot open it takes for no picture of a product.
            pictures = [self._picture(chance, whole=source == "crawl") for _ in range(size)]
            self.sent += size
        return Submission(name, pictures, source)

    def _picture(self, chance: random.Random, *, whole: bool) -> Picture:
        while True:
            if self._drawn and chance.random() < DUPLICATES:
                picture = draw(self.seed, chance.randrange(self._drawn))
            else:
                picture = draw(self.seed, self._drawn)
                self._drawn += 1
            if picture.error is None or not whole:
                return picture

    def _submit_jobs(self, client: Client, chance: random.Random) -> None:
        to_cancel: list[tuple[float, Submission]] = []
        while not self.over.is_set():
            for due, submission in list(to_cancel):
                if time.monotonic() >= due:
                    to_cancel.remove((due, submission))
                    client.cancel(submission)
            busy = len(self.ledger.open()) >= OPEN_JOBS
            if busy or self.sent >= self.allowed or not self.submitting.is_set():
                self.over.wait(0.05)
                continue
            (source,) = chance.choices(list(SOURCES), list(SOURCES.values()))
            submission = self._submission(chance, self._size(chance), source)
            client.submit(submission)
            if chance.random() < CANCELED:
                to_cancel.append((time.monotonic() + chance.uniform(0, CANCELED_WITHIN), submission))

    def _size(self, chance: random.Random) -> int:
        """Most jobs are small, a few are as large as allowed: the logarithm of the size is uniform."""
        return max(1, min(self.largest, round(math.pow(self.largest, chance.random()))))

    def _try_again(self, client: Client) -> None:
        for submission in self.ledger.all():
            if submission.retried or submission.cancel_asked or submission.single or not submission.terminal:
                continue
            if submission.broken and random.Random(f"{self.seed} {submission.name}").random() < RETRIED:
                client.retry(submission)

    def _submit_singles(self, client: Client, chance: random.Random) -> None:
        while not self.over.wait(_SINGLE_PAUSE):
            if self.submitting.is_set():
                client.submit(self.single(chance), _SINGLE_WAIT)

    def _poll(self, client: Client, chance: random.Random) -> None:
        while not self.over.wait(_POLL_SECONDS):
            # In this thread, so that what is read before and after are not taken for each other.
            if self.submitting.is_set():
                self._try_again(client)
            for submission in self.ledger.open():
                client.look(submission)
            over = [submission for submission in self.ledger.all() if submission.terminal]
            if over:
                # What is over must stay as it is.
                client.look(chance.choice(over))

"""The upload of many files into an open job: several requests at once, each repeated until it has arrived."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

from lookbook.errors import Error, UploadInterrupted
from lookbook.multipart import MultipartBody, Sent, Upload
from lookbook.transport import Transport, job_path

MANY_FILES, MANY_BYTES = 500, 64 * 2**20
"""`Client.submit_uploads` sends more files or bytes than these into an open job, instead of in one request."""

_BATCH_FILES, _BATCH_BYTES = 100, 16 * 2**20
"""Most files and bytes of one request. If its line breaks, no more than these are sent again."""

_AT_ONCE = 4
"""Requests that run at the same time."""

_MAX_NAME, _END_OF_NAME = 500, 100
"""Of a longer name, the service keeps this many characters in all, with an ellipsis before this many of its end."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The files of one request, and its place among the requests of the upload."""

    upload: str
    """Distinguishes uploads of equal files to one job."""
    place: int
    files: Sequence[Upload]

    def key(self, job_id: str) -> str:
        """Return the `Idempotency-Key`: a SHA-256 of the job, the place, and the names and sizes of the files."""
        files = [(file.sent_name, file.size) for file in self.files]
        return hashlib.sha256(json.dumps([job_id, self.upload, self.place, files]).encode()).hexdigest()


def are_many(files: Sequence[Upload]) -> bool:
    """Return whether files are better sent in several requests."""
    return len(files) > MANY_FILES or sum(file.size for file in files) > MANY_BYTES


def batches_to_send(files: Iterable[Upload], arrived: Iterable[str] = (), upload: str = "") -> list[Batch]:
    """Return the requests that bring a job the files which it does not have yet.

    `arrived` are the names of the job's items. A request has added all of its files or none, so requests of which all
    names have arrived are left out first. The others keep their place, and with it their `Idempotency-Key`. If the
    first attempt of such a request is still running, the service recognizes the second one and adds nothing twice.
    """
    names = Counter(arrived)
    left = []
    for place, batch in enumerate(_batches(files)):
        in_batch = Counter(map(_stored_name, batch))
        if all(names[name] >= count for name, count in in_batch.items()):
            names.subtract(in_batch)
        else:
            left.append((place, batch))
    to_send = (Batch(upload, place, _without(batch, names)) for place, batch in left)
    return [batch for batch in to_send if batch.files]


def add_batches(transport: Transport, job_id: str, batches: Sequence[Batch], sent: Sent | None) -> None:
    """Add files to an open job. The order of its items is not that of the files, because requests overtake each other.

    Raises:
        UploadInterrupted: a request failed for good. Other files may have arrived.
    """
    progress = _Progress(sum(file.size for batch in batches for file in batch.files), sent)
    stopped = threading.Event()

    def send(batch: Batch) -> None:
        if not stopped.is_set():
            body = MultipartBody({}, "images", batch.files)
            body.on_sent = progress.counter()
            path = f"{job_path(job_id)}/items"
            transport.request("POST", path, body=body, idempotency_key=batch.key(job_id))

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="upload") as pool:
        try:
            futures = [pool.submit(send, batch) for batch in batches]
            wait(futures, return_when=FIRST_EXCEPTION)
            stopped.set()
            for future in futures:
                future.result()
        except (Error, OSError) as error:
            raise UploadInterrupted(job_id, error) from error
        finally:
            # Also after Ctrl-C: the requests that have not begun are left out.
            stopped.set()


def _batches(files: Iterable[Upload]) -> Iterator[list[Upload]]:
    batch: list[Upload] = []
    size = 0
    for file in files:
        if batch and (len(batch) == _BATCH_FILES or size + file.size > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch


def _without(files: Iterable[Upload], names: Counter[str]) -> list[Upload]:
    """Return the files whose names are not among `names`. Each name counts once and is taken out."""
    missing = []
    for file in files:
        name = _stored_name(file)
        if names[name]:
            names[name] -= 1
        else:
            missing.append(file)
    return missing


def _stored_name(file: Upload) -> str:
    name = file.sent_name
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1 - _END_OF_NAME]}…{name[-_END_OF_NAME:]}"


class _Progress:
    """Adds up what the requests have sent. Their forms are a little longer than their files, which it leaves out."""

    def __init__(self, total: int, sent: Sent | None) -> None:
        self._total = total
        self._sent = sent
        self._lock = threading.Lock()
        self._by_request: list[int] = []

    def counter(self) -> Sent:
        """Return the callback of one more request."""
        with self._lock:
            index = len(self._by_request)
            self._by_request.append(0)

        def count(sent: int, _: int) -> None:
            with self._lock:
                self._by_request[index] = sent
                if self._sent is not None:
                    self._sent(min(sum(self._by_request), self._total), self._total)

        return count

"""Checks of the database, of Redis and of the service's answers at the end of a campaign."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from core.messages import Queue
from db.tables import Chunk, Item, ItemStatus, Job, JobSource, JobStatus, Prediction
from tests.faults.client import Client
from tests.faults.installation import Installation
from tests.faults.ledger import FINISHED, Ledger, Submission
from tests.faults.pictures import Expected, Picture

TOLERANCE = 1e-3
"""Largest allowed difference between a score of the service and the score computed here. Batches of different sizes
round differently."""
_SENT_WITH_A_KEY = (JobSource.ARCHIVE, JobSource.MANIFEST, JobSource.CRAWL)


def find_chunks_in_progress(installation: Installation, among: set[str] | None = None) -> set[str] | None:
    """Return the ids of chunks that are queued or held by a worker, or None if the database does not answer.

    `among` limits the answer to these ids.
    """
    query = select(Chunk.id) if among is None else select(Chunk.id).where(Chunk.id.in_(among))
    try:
        with installation.database.reading() as session:
            return set(session.scalars(query))
    except DBAPIError:
        return None


def check_database(installation: Installation, ledger: Ledger) -> None:
    """Check that no job is stuck, no row is doubled, no item has another picture's prediction, and counts are right."""
    with installation.database.reading() as session:
        for chunk in session.scalars(select(Chunk)):
            ledger.record_broken("no chunk is left", f"{chunk.id} of {chunk.job_id}")
        for job in session.scalars(select(Job).where(Job.status.in_([JobStatus.QUEUED, JobStatus.RUNNING]))):
            ledger.record_broken("no job is stuck", f"{job.name}: {job.pending} of {job.total} pending")
        key = (Prediction.blob_sha256, Prediction.crop_key, Prediction.model_version_id)
        for doubled in session.execute(select(*key, func.count()).group_by(*key).having(func.count() > 1)):
            ledger.record_broken("no prediction is doubled", str(doubled))
        sent_once = select(Job.name, func.count()).where(Job.source.in_(_SENT_WITH_A_KEY))
        for repeated in session.execute(sent_once.group_by(Job.name).having(func.count() > 1)):
            ledger.record_broken("what has an Idempotency-Key is stored once", str(repeated))
        pictures = select(Item.id, Item.blob_sha256, Prediction.blob_sha256).join(
            Prediction, Prediction.id == Item.prediction_id
        )
        for mixed_up in session.execute(pictures.where(Item.blob_sha256 != Prediction.blob_sha256)):
            ledger.record_broken("no wrong picture is answered", str(mixed_up))
        _check_counts(session, ledger)


def _check_counts(session: Session, ledger: Ledger) -> None:
    rows = session.execute(select(Item.job_id, Item.status, func.count()).group_by(Item.job_id, Item.status))
    found: dict[str, dict[str, int]] = {}
    for job_id, status, count in rows:
        found.setdefault(job_id, {})[status.value] = count
    for job in session.scalars(select(Job)):
        stored = {status.value: getattr(job, status.value) for status in ItemStatus}
        counted = {status.value: found.get(job.id, {}).get(status.value, 0) for status in ItemStatus}
        if stored != counted or sum(counted.values()) != job.total:
            ledger.record_broken(
                "counts are those of the items", f"{job.name}: {stored} of {job.total}, items {counted}"
            )


def check_answers(
    client: Client, submissions: Iterable[Submission], expected: Mapping[str, Expected], ledger: Ledger
) -> Iterator[int]:
    """Compare every item with the prediction computed here. Yield the number of items of each job."""
    for submission in submissions:
        items = client.items(submission)
        sent = len(submission.pictures)
        fewer = submission.read_by_worker and submission.cancel_asked
        if len(items) != sent and not (fewer and len(items) < sent):
            ledger.record_broken(
                "nothing is lost", f"{submission.name}: {sent} pictures were sent, {len(items)} are there"
            )
        places = [_place(item, number, submission) for number, item in enumerate(items)]
        if len(set(places)) < len(places):
            ledger.record_broken("no item is doubled", f"{submission.name}: {sorted(places)}")
        for item, place in zip(items, places, strict=True):
            picture = submission.pictures[place]
            wrong = _wrong(item, picture, expected, canceled=submission.cancel_asked)
            if wrong:
                promise, detail = wrong
                ledger.record_broken(promise, f"{submission.name}, picture {picture.number}: {detail}")
        yield len(items)


def _place(item: dict[str, Any], number: int, submission: Submission) -> int:
    """Return the index of the picture that an item shows. A crawl finds the pictures in its own order."""
    if submission.source != "crawl":
        return min(number, len(submission.pictures) - 1)
    return int(PurePosixPath(urlsplit(item["source"]["url"]).path).stem)


def _wrong(
    item: dict[str, Any], picture: Picture, expected: Mapping[str, Expected], *, canceled: bool
) -> tuple[str, str] | None:
    """Return the promise that an item breaks and the detail, or None if the item is right."""
    status, error = item["status"], item["error"]
    # A job can be canceled before its pictures are downloaded.
    no_bytes = item["image"] is None and status == "canceled" and canceled
    if not no_bytes and (item["image"] is None or item["image"]["sha256"] != picture.sha256):
        return "no wrong picture is answered", f"other bytes: {item['image']}"
    if status == "pending":
        return "nothing is lost", "still pending"
    if status == "canceled" and canceled:
        return None
    if picture.error is not None:
        right = status == "failed" and error["code"] == picture.error
        return None if right else ("broken pictures fail with their reason", f"{picture.error} is {status}: {error}")
    if status != "succeeded":
        return "good pictures succeed", f"{status}: {error}"
    return _wrong_prediction(item["prediction"], expected[picture.sha256])


def _wrong_prediction(prediction: dict[str, Any], expected: Expected) -> tuple[str, str] | None:
    scores = {row["id"]: row["score"] for row in prediction["labels"]}
    apart = max(abs(score - expected.scores[label]) for label, score in scores.items())
    top = prediction["label"]["id"]
    # Rounding may decide which of two equally likely labels comes first.
    if apart <= TOLERANCE and expected.scores[expected.label] - expected.scores[top] <= TOLERANCE:
        return None
    detail = f"expected {expected.label}, got {top}; scores up to {apart:.2g} apart"
    return "no wrong picture is answered", detail


def check_redis(installation: Installation, ledger: Ledger, give_up: float) -> None:
    """Check that Redis is empty before `give_up`. Redis delivers again what dead consumers did not acknowledge."""
    while (left := _left_in_redis(installation)) and time.monotonic() < give_up:
        time.sleep(0.5)
    for line in left:
        ledger.record_broken("nothing is left in Redis", line)


def check_unfinished_messages(installation: Installation, ledger: Ledger) -> None:
    """Check that no queue holds messages, and that unacknowledged messages are only of chunks that are finished.

    This check does not wait until Redis delivers again what dead consumers did not acknowledge.
    """
    for line in _left_in_redis(installation):
        # Beat sends maintenance tasks all the time.
        if not line.startswith(("unacked", Queue.MAINTENANCE.value)):
            ledger.record_broken("nothing is left in Redis", line)
    in_progress = find_chunks_in_progress(installation) or set()
    for raw in installation.redis.hvals("unacked"):
        chunk_id = _chunk_id(raw)
        if chunk_id in in_progress:
            ledger.record_broken("nothing is left in Redis", f"unacked: {chunk_id}")


def _left_in_redis(installation: Installation) -> list[str]:
    queues = {queue.value: installation.redis.llen(queue.value) for queue in Queue}
    unacked = installation.redis.hlen("unacked")
    return [f"{name}: {count} messages" for name, count in {**queues, "unacked": unacked}.items() if count]


def _chunk_id(raw: bytes | str) -> str:
    message = json.loads(raw)[0]
    (_, arguments, _) = json.loads(base64.b64decode(message["body"]))
    return str(arguments.get("chunk_id", ""))


def list_unfinished(ledger: Ledger) -> list[str]:
    return [
        f"{submission.name}: {submission.job['counts'] if submission.job else 'never seen'}"
        for submission in ledger.all()
        if submission.job is None or submission.job["status"] not in FINISHED
    ]

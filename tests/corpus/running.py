"""Sends files to a running service, and judges what becomes of them."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from itertools import count, islice
from typing import TypeVar

import httpx

from tests.corpus.base import drawing, encode
from tests.corpus.case import Case
from tests.corpus.watching import Watch

ERRORS = {
    *("not_an_image", "unsupported_format", "empty_file", "too_large"),
    *("truncated_image", "too_many_pixels", "too_much_memory", "decode_failed", "decode_timeout"),
}
"""The codes that a file may end with (docs/http-api.md). The others would blame the service or the caller."""
PREDICTED = "predicted"
SECONDS, BYTES = 10.0, 512 * 2**20
"""The longest time that a file may take, and the most memory of a decoder."""
GROUP = 8
"""Files that are sent at the same time. If a rule is broken meanwhile, each of them is sent again, alone."""
JOB = 64
"""Files in one job."""
GOOD_EVERY = 8
T = TypeVar("T")
_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: the code of its error, or `PREDICTED`, or what the service said instead."""

    case: Case
    code: str
    seconds: float
    peak: int = 0
    """The most memory of a decoder meanwhile, in bytes. 0 if the processes are not watched."""
    decoders_lost: int = 0
    broken: list[str] = field(default_factory=list)
    """The rules that were broken."""


class Run:
    """One run of files through a service. `watch`: its processes, or None if they cannot be seen from here."""

    def __init__(self, url: str, watch: Watch | None) -> None:
        self._http = httpx.Client(base_url=url, timeout=60.0, trust_env=False)
        self._watch = watch
        self._numbers = count()
        self.decoders_lost = 0

    def each(self, cases: Iterable[Case]) -> Iterator[Outcome]:
        """Send the files as single pictures, and a good one after each group of them."""
        with ThreadPoolExecutor(GROUP) as threads:
            for group in _groups(cases, GROUP):
                outcomes = self._observe(group, threads)
                if all(not outcome.broken for outcome in outcomes):
                    yield from outcomes
                    continue
                for outcome in outcomes:
                    (alone,) = self._observe([self._unseen(outcome)], threads)
                    yield _compared(outcome, alone)

    def _observe(self, cases: Sequence[Case], threads: ThreadPoolExecutor) -> list[Outcome]:
        """Return the outcomes of files that are sent at the same time, judged by all rules."""
        if self._watch is not None:
            self._watch.begin()
            self._watch.decoders_lost = 0
        outcomes = list(threads.map(self._classify, cases))
        peak, lost, broken = 0, 0, []
        if self._watch is not None:
            peak, lost = self._watch.peak(), self._watch.decoders_lost
            broken += [f"process {dead} died" for dead in self._watch.dead()]
            if peak > BYTES:
                broken.append(f"a decoder took {peak / 2**20:.0f} MiB")
        good = self._classify(self._good())
        if good.code != PREDICTED or good.seconds > SECONDS:
            broken.append(f"a good picture right after ended with {good.code} after {good.seconds:.1f} s")
        self.decoders_lost += lost
        return [
            replace(outcome, peak=peak, decoders_lost=lost, broken=[*_rules_broken(outcome), *broken])
            for outcome in outcomes
        ]

    def _unseen(self, outcome: Outcome) -> Case:
        """Return the file again, so that it is decoded again. A stored prediction would be reused for the same bytes.

        A box that means nothing follows the bytes; the formats without boxes ignore what follows them.
        """
        case = outcome.case
        if outcome.code != PREDICTED:
            return case
        return replace(case, data=case.data + struct.pack(">I4sQ", 16, b"free", time.time_ns()))

    def _good(self) -> Case:
        """Return a picture that the service has not seen before."""
        number = next(self._numbers)
        data = encode(drawing(40, 30, number), "JPEG", comment=f"{time.time_ns()} {number}")
        return Case("whole", f"good-{number}.jpg", data, is_picture=True)

    def _classify(self, case: Case) -> Outcome:
        began = time.monotonic()
        answer = self._http.post("/v1/classifications", files={"image": (case.name, case.data)})
        if answer.status_code == HTTPStatus.ACCEPTED:
            code = self._followed(answer.headers["Location"])
        elif answer.is_success:
            code = PREDICTED
        else:
            code = _code(answer)
        return Outcome(case, code, time.monotonic() - began)

    def _followed(self, path: str) -> str:
        """Return the outcome of an item that was not finished when the service answered."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            item = self._http.get(path).raise_for_status().json()
            if item["status"] in ("succeeded", "failed"):
                return _outcome_of(item)
            time.sleep(_POLL_SECONDS)
        return "unfinished"

    def jobs(self, outcomes: Sequence[Outcome]) -> Iterator[list[str]]:
        """Send the files again, in jobs with good pictures between them. Yield the broken rules of each job.

        A good picture must be predicted, and every other file must end as it did alone.
        """
        for group in _groups(outcomes, JOB):
            expected = {outcome.case.name: outcome.code for outcome in group}
            cases = [outcome.case for outcome in group]
            for place in range(len(cases), 0, -GOOD_EVERY):
                good = self._good()
                cases.insert(place, good)
                expected[good.name] = PREDICTED
            yield self._job(cases, expected)

    def _job(self, cases: Sequence[Case], expected: dict[str, str]) -> list[str]:
        files = [("images", (case.name, case.data)) for case in cases]
        answer = self._http.post("/v1/jobs", files=files, timeout=_PATIENCE_SECONDS)
        if not answer.is_success:
            return [f"a job was refused: {_code(answer)}"]
        path = f"/v1/jobs/{answer.json()['id']}"
        end = time.monotonic() + _PATIENCE_SECONDS
        while self._http.get(path).raise_for_status().json()["finished_at"] is None:
            if time.monotonic() > end:
                return [f"a job with {cases[0].name} has not finished after {_PATIENCE_SECONDS:.0f} s"]
            time.sleep(_POLL_SECONDS)
        items = self._http.get(f"{path}/items", params={"limit": len(cases)}).raise_for_status().json()["data"]
        return [
            f"{item['source']['name']}: {_outcome_of(item)} in a job, but {code} alone"
            for item, code in zip(items, (expected[case.name] for case in cases), strict=True)
            if _outcome_of(item) != code
        ]

    def close(self) -> None:
        self._http.close()


def _groups(things: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(things)
    while group := list(islice(rest, size)):
        yield group


def _outcome_of(item: dict[str, object]) -> str:
    error = item["error"]
    return str(error["code"]) if isinstance(error, dict) else PREDICTED


def _code(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"


def _rules_broken(outcome: Outcome) -> list[str]:
    case, code, broken = outcome.case, outcome.code, []
    if code != PREDICTED and code not in ERRORS:
        broken.append(f"ended with {code}")
    if outcome.seconds > SECONDS:
        broken.append(f"took {outcome.seconds:.1f} s")
    if case.is_picture is not None and case.is_picture != (code == PREDICTED):
        broken.append(f"ended with {code}, expected {'a prediction' if case.is_picture else 'an error'}")
    return broken


def _compared(together: Outcome, alone: Outcome) -> Outcome:
    """Return the outcome of a file alone. It must not differ because of the files that were sent with it."""
    alone = replace(alone, case=together.case)
    if together.code == alone.code:
        return alone
    changed = f"ended with {together.code} beside other files, and with {alone.code} alone"
    return replace(alone, broken=[*alone.broken, changed])

"""Answers searches for look-alikes: with the index of vectors, or by comparing all vectors of a small scope."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from broker.client import Broker
from core.clock import utc_now
from core.errors import BrokerUnavailable
from core.searches import Found, Question, Relation, SearchAnswer
from core.types import Scope
from core.vectors import decode
from db.access.keys import Caller
from db.database import Database
from db.views import lookalikes
from db.views.lookalikes import Asked, SearchScope
from worker.searching.keeper import IndexKeeper, similarities

log = structlog.get_logger(__name__)

COMPARED_ITEMS = 2000
"""Items of a scope up to which all of them are compared, so that the answer is exact and needs no index."""
MAX_COMPARED = 200_000
"""Most items that are compared where there is no index. Reading more takes longer than a request waits."""
MAX_INDEXES = 2
"""Model versions whose indexes are in memory: those of `production` and of the next one."""
RANKED = 200
"""Candidates of the index that are compared again by their stored vectors."""
MAX_CANDIDATES = 16_384
"""Most candidates that the index is asked for until enough of them belong to the scope."""
BUILDING_SECONDS = 3.0
"""Seconds that a search waits for an index that is being built."""


class _NoIndexError(Exception):
    """There is no index to search in. The message says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Searcher:
    """Answers the searches that one worker receives."""

    def __init__(self, database: Database, broker: Broker, folder: Path) -> None:
        self._database = database
        self._broker = broker
        self._folder = folder
        self._lock = threading.Lock()
        self._keepers: OrderedDict[int, IndexKeeper] = OrderedDict()

    def answer(self, search_id: str, question: dict[str, Any]) -> None:
        """Search, and send the answer to the request that waits for it."""
        answer = self.search(Question(**question))
        try:
            self._broker.searches.answer(search_id, answer.to_json())
        except BrokerUnavailable as error:
            log.warning("search_not_answered", reason=str(error))

    def close(self) -> None:
        """Stop following the database."""
        with self._lock:
            keepers = list(self._keepers.values())
            self._keepers.clear()
        for keeper in keepers:
            keeper.close()

    def search(self, question: Question) -> SearchAnswer:
        """Return the items that look like the one in question."""
        with self._database.reading() as session:
            asked = lookalikes.read_asked(session, question.item_id)
            if asked is None or asked.vector is None:
                return SearchAnswer([], 0, True, "no_vector", "the picture has no vector")
            scope = _scope(question, asked)
            items = lookalikes.count_items(session, scope, asked.model_version_id, utc_now())
            shots = self._find_shots(session, asked, scope)
        vector = decode(asked.vector)
        limit = max(0, question.limit - len(shots))
        known = {found.item_id for found in shots}
        answer = self._look_alikes(vector, asked, scope, items, limit + len(known))
        others = [found for found in answer.found if found.item_id not in known]
        return SearchAnswer(
            (shots + others)[: question.limit], answer.searched, answer.exact, answer.problem, answer.detail
        )

    def _find_shots(self, session: Session, asked: Asked, scope: SearchScope) -> list[Found]:
        """Return the other pictures of the product, the most similar first."""
        shots = lookalikes.read_shots(session, asked, scope, utc_now())
        if shots is None or asked.vector is None:
            return []
        close = similarities(shots.vectors, decode(asked.vector))
        return [
            Found(
                shots.item_ids[index],
                round(float(close[index]), 4),
                Relation.VARIANT if shots.variants[index] else Relation.SHOT,
            )
            for index in np.argsort(-close, kind="stable")
        ]

    def _look_alikes(
        self, vector: NDArray[np.float16], asked: Asked, scope: SearchScope, items: int, limit: int
    ) -> SearchAnswer:
        if items > COMPARED_ITEMS:
            try:
                keeper = self._ready_keeper(asked.model_version_id)
            except _NoIndexError as error:
                if items > MAX_COMPARED:
                    return SearchAnswer([], 0, True, error.code, f"{error}. Search within one job")
            else:
                found = self._ask_index(keeper, vector, scope, items, limit)
                if len(found) >= limit or items > MAX_COMPARED:
                    return SearchAnswer(found, len(keeper), False)
        return self._compare_all(vector, asked, scope, limit)

    def _ready_keeper(self, model_version_id: int) -> IndexKeeper:
        """Return the index of a model version, once it has all vectors.

        Raises:
            _NoIndexError: it cannot be used, or not yet.
        """
        try:
            keeper = self._keeper(model_version_id)
        except ImportError as error:
            detail = "the worker has no index of vectors, because the package usearch is not installed where it runs"
            raise _NoIndexError("index_missing", detail) from error
        if not keeper.is_ready(BUILDING_SECONDS):
            detail = f"the index of vectors is being built and has {len(keeper):,} so far. Try again later"
            raise _NoIndexError("index_building", detail)
        return keeper

    def _ask_index(
        self, keeper: IndexKeeper, vector: NDArray[np.float16], scope: SearchScope, items: int, limit: int
    ) -> list[Found]:
        """Ask the index for more and more candidates, until enough of them belong to items of the scope."""
        share = min(1.0, items / max(1, len(keeper)))
        count = int(min(MAX_CANDIDATES, max(RANKED, 2 * limit / share)))
        while True:
            nearest = keeper.nearest(vector, count)
            with self._database.reading() as session:
                shown = lookalikes.newest_items(session, scope, nearest.numbers.tolist(), utc_now())
            if len(shown) >= max(limit, RANKED // 2) or len(nearest.numbers) < count or count >= MAX_CANDIDATES:
                return self._rank(vector, [n for n in nearest.numbers.tolist() if n in shown], shown, limit)
            count = min(MAX_CANDIDATES, 4 * count)

    def _rank(
        self, vector: NDArray[np.float16], candidates: list[int], shown: dict[int, str], limit: int
    ) -> list[Found]:
        """Return the items of the best candidates by their stored vectors, because the index only knows short ones."""
        with self._database.reading() as session:
            stored = lookalikes.read_numbers(session, candidates[: max(RANKED, 2 * limit)])
        if stored is None:
            return []
        close = similarities(stored.vectors, vector)
        order = np.argsort(-close, kind="stable")[:limit]
        return [Found(shown[int(stored.numbers[n])], round(float(close[n]), 4), None) for n in order]

    def _compare_all(self, vector: NDArray[np.float16], asked: Asked, scope: SearchScope, limit: int) -> SearchAnswer:
        """Compare all vectors of the scope. A picture that several jobs have is found once, in the newest one."""
        best: dict[str, tuple[float, str]] = {}
        searched = 0
        with self._database.reading() as session:
            for block in lookalikes.read_scope(session, scope, asked.model_version_id, utc_now()):
                searched += len(block.item_ids)
                close = similarities(block.vectors, vector)
                for index in np.argsort(-close, kind="stable")[:limit].tolist():
                    best.setdefault(block.prediction_ids[index], (float(close[index]), block.item_ids[index]))
        ordered = sorted(best.values(), key=lambda pair: -pair[0])[:limit]
        return SearchAnswer([Found(item_id, round(close, 4), None) for close, item_id in ordered], searched, True)

    def _keeper(self, model_version_id: int) -> IndexKeeper:
        """Return the index of a model version, which is opened at its first use.

        Raises:
            ImportError: the package of the index is not installed.
        """
        dropped: IndexKeeper | None = None
        with self._lock:
            keeper = self._keepers.get(model_version_id)
            if keeper is None:
                keeper = IndexKeeper(self._database, self._folder, model_version_id)
                keeper.start()
                self._keepers[model_version_id] = keeper
                if len(self._keepers) > MAX_INDEXES:
                    _, dropped = self._keepers.popitem(last=False)
            self._keepers.move_to_end(model_version_id)
        if dropped is not None:
            dropped.close()
        return keeper


def _scope(question: Question, asked: Asked) -> SearchScope:
    scopes = frozenset({Scope.ADMIN} if question.is_admin else {Scope.READ})
    inherited = question.inherited_owners
    caller = Caller(
        None, scopes, owner=question.owner, inherited_owners=None if inherited is None else frozenset(inherited)
    )
    job_ids = None if question.job_ids is None else tuple(question.job_ids)
    if question.same_picture:
        return SearchScope(caller, job_ids, hidden_items=frozenset({asked.item_id}))
    # The same picture is no look-alike, nor the same photo in other bytes.
    hidden = {asked.item_id} | ({asked.duplicate_of} if asked.duplicate_of else set())
    return SearchScope(caller, job_ids, hidden_blobs=frozenset({asked.blob_sha256}), hidden_items=frozenset(hidden))

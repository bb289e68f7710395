"""Requests per minute: counted in Redis for all processes together, and in this one's memory while Redis is away."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from flask import Flask, Response, current_app, g, request
from flask_limiter import Limiter, RateLimitExceeded
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import StorageTypes
from limits.strategies import STRATEGIES, FixedWindowRateLimiter
from limits.util import WindowStats
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.retry import Retry

from api.answers.problems import Problem
from api.door.access import BadKey
from api.services import current_services
from core.settings import Settings
from db.access.keys import Caller

FAILURES = 30
"""Requests with a bad key, a minute and an address, that are still told that it is bad."""
SHARES = 100
"""A process asks Redis for this part of a minute's requests at a time, so that it need not ask for each.

What it has not used by the end of the minute is lost: a limit of less than twice this is exact."""

_EXTENSION = "lookbook.limiter"
_STRATEGY = "shared-window"
_PREFIX = "lookbook"
_SCOPE = "global"
"""Of all routes together, as flask-limiter calls it."""
_ANSWER_SECONDS = 0.25
"""How long a request waits for Redis before it counts in memory: it has better things to do."""
_MOST = 10_000
"""Keys and addresses whose shares are remembered at once."""


@dataclass(slots=True)
class _Share:
    """What this process may still let through of one limit in the present window."""

    ends_at: float
    left: int = 0
    elsewhere: int = 0
    """What nobody has asked for yet."""


class SharedWindow(FixedWindowRateLimiter):
    """A fixed window whose requests are handed to the processes in shares."""

    def __init__(self, storage: StorageTypes) -> None:
        super().__init__(storage)
        self._shares: dict[str, _Share] = {}
        self._lock = threading.Lock()

    def take(self, item: RateLimitItem, *identifiers: str) -> bool:
        """Count a request, if this process may let it through without asking anyone."""
        with self._lock:
            share = self._shares.get(item.key_for(*identifiers))
            if share is None or share.left == 0 or share.ends_at <= time.time():
                return False
            share.left -= 1
            return True

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        key = item.key_for(*identifiers)
        with self._lock:
            share = self._shares.get(key)
            if share is not None and share.left < cost and share.elsewhere == 0 and time.time() < share.ends_at:
                return False
        return self._ask(item, key, cost)

    def _ask(self, item: RateLimitItem, key: str, cost: int) -> bool:
        wanted = max(cost, item.amount // SHARES)
        # Without the lock: whoever waits for a Redis that does not answer should not keep the others waiting, too.
        given_out = self.storage.incr(key, item.get_expiry(), wanted)
        ends_at = self.storage.get_expiry(key)
        got = max(0, min(wanted, item.amount - (given_out - wanted)))
        with self._lock:
            share = self._shares.get(key)
            if share is None or share.ends_at <= time.time():
                if len(self._shares) >= _MOST:
                    self._shares.clear()
                share = self._shares[key] = _Share(ends_at)
            share.left += got
            share.elsewhere = max(0, item.amount - given_out)
            if share.left < cost:
                return False
            share.left -= cost
            return True

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        share = self._shares.get(item.key_for(*identifiers))
        if share is None:
            return WindowStats(time.time(), item.amount)
        return WindowStats(share.ends_at, share.left + share.elsewhere)


class RequestLimiter(Limiter):
    """flask-limiter, asked only where there is something to ask: it takes as long as all else of a short answer."""

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:
        g.window = _window()
        if g.window is not None and not self.shares.take(*g.window):
            super()._check_request_limit(callable_name, in_middleware)

    @property
    def shares(self) -> SharedWindow:
        """Those of Redis, or those of this process alone while Redis is away."""
        return cast(SharedWindow, self.limiter)


def limit_requests(app: Flask, settings: Settings) -> None:
    """Have an application count the requests of every key, and those that come with a bad one by their address.

    Call it between `guard` and `enforce` of api/door/access.py, when it is known who asks and nobody is refused yet.
    """
    pool = ConnectionPool.from_url(
        settings.resolved_redis_url,
        socket_connect_timeout=_ANSWER_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        # Whoever asks comes back: trying again here would only make them wait.
        retry=Retry(NoBackoff(), 0),
    )
    STRATEGIES[_STRATEGY] = SharedWindow
    limiter = RequestLimiter(
        _counted_for,
        application_limits=[_limit],
        storage_uri=_limits_url(settings.resolved_redis_url),
        storage_options={"connection_pool": pool},  # type: ignore[dict-item]
        in_memory_fallback_enabled=True,
        strategy=_STRATEGY,
        key_prefix=_PREFIX,
    )
    limiter.init_app(app)
    app.register_error_handler(RateLimitExceeded, _refuse)
    app.extensions[_EXTENSION] = limiter
    app.after_request(_tell)


def _limits_url(redis_url: str) -> str:
    """The limits library spells a Unix socket `redis+unix:///path`, redis-py `unix:///path`."""
    return redis_url.replace("unix://", "redis+unix://", 1) if redis_url.startswith("unix://") else redis_url


def rate_limit(caller: Caller) -> int | None:
    """Requests that a caller may make in a minute; None: any number."""
    if caller.key_id is None:
        return None
    return caller.rate_limit or current_services().settings.rate_limit or None


def _window() -> tuple[RateLimitItem, str, str, str] | None:
    """What the present request counts for, as flask-limiter names it; None: it does not count."""
    who: Caller | None = g.get("caller")
    if who is not None:
        limit = rate_limit(who)
        return None if limit is None else (_per_minute(limit), _PREFIX, str(who.key_id), _SCOPE)
    if isinstance(g.get("refusal"), BadKey):
        return _per_minute(FAILURES), _PREFIX, f"address {request.remote_addr}", _SCOPE
    return None


_per_minute = lru_cache(RateLimitItemPerMinute)


def _limit() -> str:
    return f"{g.window[0].amount} per minute"


def _counted_for() -> str:
    return str(g.window[2])


def _refuse(_: RateLimitExceeded) -> Response:
    whose = "this key made requests" if "caller" in g else "this address sent keys that are not known"
    detail = f"expected at most {g.window[0].amount:,} requests a minute: {whose} faster than that"
    seconds = max(1, math.ceil(_stats().reset_time - time.time()))
    return Problem(429, "rate_limited", detail, headers={"Retry-After": str(seconds)}).response()


def _tell(response: Response) -> Response:
    if g.get("window") is not None:
        stats = _stats()
        left = max(0, math.ceil(stats.reset_time - time.time()))
        response.headers["RateLimit-Limit"] = str(g.window[0].amount)
        response.headers["RateLimit-Remaining"] = str(stats.remaining)
        response.headers["RateLimit-Reset"] = str(left)
    return response


def _stats() -> WindowStats:
    limiter: RequestLimiter = current_app.extensions[_EXTENSION]
    return limiter.shares.get_window_stats(*g.window)

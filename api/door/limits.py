"""Rate limits: requests per minute, counted in Redis for all processes, or in this process while Redis is away."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network

import structlog
from flask import Flask, Response, g, request
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.util import WindowStats
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from api.answers.problems import Problem
from api.door.refusals import BadKey, BadSignature, ShareEnded, UnknownShare
from api.services import current_services
from core.settings import Settings
from db.access.keys import Caller

log = structlog.get_logger(__name__)

SHARES = 100
"""A process takes 1/100 of a limit from Redis at a time, so that it does not ask Redis for each request.

What a process has not used at the end of the minute is lost. Limits below twice this number are exact, because their
share is a single request."""

_WINDOW_SECONDS = 60
_REDIS_TIMEOUT_SECONDS = 0.25
"""How long a request waits for Redis before this process counts in memory. A longer wait would delay every answer."""
REDIS_PAUSE_SECONDS = 5
"""How long a process counts in memory after Redis did not answer. Each new attempt may take as long as the timeout."""
_MAX_SHARES = 10_000
"""Keys and IP addresses whose shares a process remembers."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The limit that applies to a request."""

    subject: str
    """The id of a key or of a link, or an IP address or network that sent a wrong one."""
    requests: int
    """Requests per minute."""

    @property
    def storage_key(self) -> str:
        """The key of the counter, in the format of earlier releases."""
        return f"LIMITER/lookbook/{self.subject}/global/{self.requests}/1/minute"


@dataclass(slots=True)
class _Share:
    """This process's share of one limit in the current minute."""

    ends_at: float
    left: int = 0
    unshared: int = 0
    """Requests that no process has taken yet."""


class SharedWindow:
    """A window of one minute that processes take in shares."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._shares: dict[str, _Share] = {}
        self._lock = threading.Lock()

    def take(self, limit: RateLimit) -> bool:
        """Count a request if this process has a share left for it."""
        with self._lock:
            share = self._shares.get(limit.storage_key)
            if share is None or share.left == 0 or share.ends_at <= time.time():
                return False
            share.left -= 1
            return True

    def hit(self, limit: RateLimit) -> bool:
        """Count a request, and take a new share from the storage. Return False if the limit is reached."""
        key = limit.storage_key
        with self._lock:
            share = self._shares.get(key)
            if share is not None and share.left == 0 and share.unshared == 0 and time.time() < share.ends_at:
                return False
        size = max(1, limit.requests // SHARES)
        # The lock is not held here, because a Redis that does not answer would otherwise delay all other requests.
        given_out = self.storage.incr(key, _WINDOW_SECONDS, size)
        ends_at = self.storage.get_expiry(key)
        received = max(0, min(size, limit.requests - (given_out - size)))
        with self._lock:
            share = self._shares.get(key)
            if share is None or share.ends_at <= time.time():
                if len(self._shares) >= _MAX_SHARES:
                    self._shares.clear()
                share = self._shares[key] = _Share(ends_at)
            share.left += received
            share.unshared = max(0, limit.requests - given_out)
            if share.left == 0:
                return False
            share.left -= 1
            return True

    def stats(self, limit: RateLimit) -> WindowStats:
        """Return when the window ends and the number of requests that this process believes are left."""
        share = self._shares.get(limit.storage_key)
        if share is None:
            return WindowStats(time.time(), limit.requests)
        return WindowStats(share.ends_at, share.left + share.unshared)


class RequestCounter:
    """Counts requests in Redis, and in memory while Redis is unavailable."""

    def __init__(self, redis_url: str) -> None:
        pool = ConnectionPool.from_url(
            redis_url,
            socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
            socket_timeout=_REDIS_TIMEOUT_SECONDS,
            # A retry would double the wait of the request that is being counted.
            retry=Retry(NoBackoff(), 0),
        )
        self._in_redis = SharedWindow(RedisStorage(redis_url, connection_pool=pool))
        self._in_memory = SharedWindow(MemoryStorage())
        self._ask_redis_at = 0.0

    @property
    def window(self) -> SharedWindow:
        return self._in_redis if time.monotonic() >= self._ask_redis_at else self._in_memory

    def allow(self, limit: RateLimit) -> bool:
        """Count a request. Return False if the limit is reached."""
        window = self.window
        if window.take(limit):
            return True
        try:
            return window.hit(limit)
        except RedisError as error:
            log.warning("rate_limits_in_memory", reason=str(error))
            self._ask_redis_at = time.monotonic() + REDIS_PAUSE_SECONDS
            return self._in_memory.hit(limit)


def limit_requests(app: Flask, settings: Settings) -> None:
    """Limit the requests of each key, and the requests with an invalid key from each IP address.

    Call it between `install_authentication` and `authorize` of api/door/access.py: the caller is then known, and no
    request has been refused yet.
    """
    counter = RequestCounter(settings.resolved_redis_url)

    @app.before_request
    def count_request() -> None:
        limit = g.rate_limit = _limit_of_request()
        if limit is None or counter.allow(limit):
            return
        seconds = max(1, math.ceil(counter.window.stats(limit).reset_time - time.time()))
        raise Problem(429, "rate_limited", _detail(limit), headers={"Retry-After": str(seconds)})

    @app.after_request
    def add_headers(response: Response) -> Response:
        limit: RateLimit | None = g.get("rate_limit")
        if limit is not None:
            stats = counter.window.stats(limit)
            response.headers["RateLimit-Limit"] = str(limit.requests)
            response.headers["RateLimit-Remaining"] = str(stats.remaining)
            response.headers["RateLimit-Reset"] = str(max(0, math.ceil(stats.reset_time - time.time())))
        return response


def requests_per_minute(caller: Caller) -> int | None:
    """Return how many requests a caller may make in a minute. None: any number."""
    if caller.key_id is None and not caller.is_visitor:
        return None
    return caller.rate_limit or current_services().settings.rate_limit or None


def _limit_of_request() -> RateLimit | None:
    """Return the limit that the current request counts for. None: it is not counted."""
    caller: Caller | None = g.get("caller")
    if caller is not None:
        if caller.signed_item is not None:
            return _limit_of_signed_urls()
        limit = requests_per_minute(caller)
        return None if limit is None else RateLimit(str(caller.key_id or caller.share_id), limit)
    if isinstance(g.get("authentication_problem"), (BadKey, BadSignature, ShareEnded, UnknownShare)):
        return RateLimit(f"address {_network(request.remote_addr)}", current_services().settings.wrong_keys)
    return None


def _limit_of_signed_urls() -> RateLimit | None:
    """Return the limit of an IP address that requests pictures by signed URLs, which belong to no key."""
    requests = current_services().settings.rate_limit
    return RateLimit(f"pictures {_network(request.remote_addr)}", requests) if requests else None


def _network(address: str | None) -> str:
    """Return the addresses that one client can send from: an IPv4 address, or a /64, the smallest network of IPv6."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        # The header of a proxy may hold a name, or nothing.
        return "unknown"
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or IPv6Network((ip, 64), strict=False))
    return str(ip)


def _detail(limit: RateLimit) -> str:
    if "caller" in g:
        return f"This key or link may make at most {limit.requests:,} requests a minute."
    return f"An IP address may make at most {limit.requests:,} requests a minute with wrong keys and links."

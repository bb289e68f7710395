"""The whole shop: its sites under their names and IP addresses, in a thread or in its own process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.settings import PROJECT
from tests.shop.answers import Answer, Misbehaviour, Request, missing
from tests.shop.log import AccessLog, Visitors
from tests.shop.odd_sites import OddSite, odd_sites
from tests.shop.places import ADDRESSES, ALLOW, BY_NAME, DOMAIN, INSIDE, SITES, site_of
from tests.shop.server import Gate, Server, listening
from tests.shop.sites import Site
from tests.shop.traps import TrapSite
from tests.shop.truth import KINDS, SiteTruth


@dataclass(frozen=True, slots=True)
class TrapTruth:
    url: str
    is_for: str
    """Where a crawler meets it: picture, page or sitemap, or site for a whole site."""
    must: str
    """The required outcome, see traps.Trap and odd_sites."""


class Sites:
    """All sites, by the name or IP address that a request names."""

    def __init__(self, seed: int, products: int, visit: int, pause: float, port: Callable[[], int]) -> None:
        def make(name: str, kind: str, crawl_delay: float | None = None) -> Site:
            return Site(name, kind, seed, products, visit, crawl_delay)

        self.shops = {kind: make(kind, kind) for kind in KINDS}
        self.traps = TrapSite(pause, port)
        self.odd = odd_sites(make, pause, port)
        self._named: dict[str, Callable[[Request], Answer | Misbehaviour]] = {
            **self.shops,
            "cdn": self._cdn,
            "traps": self.traps,
            "rebinding": self.shops["img"],
            **{name: site.answer for name, site in self.odd.items()},
        }

    def respond(self, request: Request, host: str, address: str) -> Answer | Misbehaviour:
        site = self._named.get(site_of(host))
        return missing() if address == INSIDE or site is None else site(request)

    def _cdn(self, request: Request) -> Answer:
        """Answer requests for photos of other sites, whose names begin the path."""
        name, _, rest = request.target.removeprefix("/").partition("/")
        if request.path == "/robots.txt" or name not in self.shops:
            return missing()
        return self.shops[name].photo(replace(request, target=f"/{rest}"))


class Shop:
    """A shop that runs on `port`. `gate` has an effect only if the shop runs in this process."""

    def __init__(self, seed: int, products: int, visit: int, port: int, log: Path, gate: Gate | None = None) -> None:
        self.seed, self.products, self.visit, self.port = seed, products, visit, port
        self.gate = gate or Gate()
        self.log = Visitors(log)
        self._rebinding = cycle([BY_NAME, INSIDE])
        self._sites = Sites(seed, products, visit, pause=1.0, port=lambda: port)

    @property
    def odd(self) -> dict[str, OddSite]:
        return self._sites.odd

    def url(self, site: str, path: str = "") -> str:
        """Return a site's URL with its name, which only `resolver` knows."""
        return f"http://{self.host(site)}:{self.port}{path}"

    def host(self, site: str) -> str:
        return f"{site}.{DOMAIN}"

    def address(self, site: str) -> str:
        """Return a site's own IP address."""
        return ADDRESSES[site]

    def address_url(self, site: str, path: str = "") -> str:
        """Return a site's URL with its own IP address, which needs no resolver (on Linux)."""
        return f"http://{self.address(site)}:{self.port}{path}"

    def browser_url(self, site: str, path: str = "") -> str:
        """Return a site's URL with a name that browsers resolve to this machine."""
        return f"http://{site}.localhost:{self.port}{path}"

    def truth(self, site: str, base: str | None = None) -> SiteTruth:
        """Return the expected result of a crawl of a site under the origin `base`, by default that of its name."""
        name = site if site in KINDS else "json-ld"
        shelf = Site(site, name, self.seed, self.products, self.visit).shelf(base or self.url(site))
        return SiteTruth(name, shelf)

    def traps(self) -> list[TrapTruth]:
        traps = self._sites.traps.traps.values()
        found = [TrapTruth(self.url("traps", f"/t/{trap.name}"), trap.is_for, trap.must) for trap in traps]
        return found + [TrapTruth(self.url(name, "/"), "site", site.must) for name, site in self._sites.odd.items()]

    @property
    def allow(self) -> tuple[IPv4Network, ...]:
        return ALLOW

    def resolver(self, host: str) -> Sequence[IPv4Address]:
        """Resolve the shop's names, and no others, for a guarded fetcher.

        `rebinding` resolves to the shop and to the private network in turn.
        """
        name = host.removesuffix(f".{DOMAIN}")
        if name in SITES:
            return [IPv4Address(BY_NAME)]
        if host == f"inside.{DOMAIN}":
            return [IPv4Address(INSIDE)]
        if host == f"mixed.{DOMAIN}":
            return [IPv4Address(BY_NAME), IPv4Address(INSIDE)]
        if host == f"rebinding.{DOMAIN}":
            return [IPv4Address(next(self._rebinding))]
        raise OSError(f"the shop has no {host}")


@contextmanager
def running_shop(
    seed: int = 7,
    products: int = 200,
    *,
    visit: int = 1,
    port: int = 0,
    latency: float = 0.0,
    pause: float = 1.0,
    log: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Shop]:
    """Run the shop in a thread of this process.

    Args:
        products: the number of products of each site at the first visit.
        visit: 2 for the second visit. Give it the `port` of the first, so that its URLs are the same.
        port: 0 for any free port.
        latency: delay of each answer in seconds. Without it, concurrent requests are answered one after the other.
        pause: seconds between the bytes of slow answers.
        log: the file of the access log; by default in a folder that is removed afterwards.
        clock: returns the time for the log, in seconds.
    """
    with TemporaryDirectory(prefix="shop-") as folder:
        path = log or Path(folder) / "access.jsonl"
        sockets = listening([BY_NAME, INSIDE, *ADDRESSES.values()], port, [INSIDE, *ADDRESSES.values()])
        bound_port = int(sockets[0].getsockname()[1])
        access = AccessLog(path, clock)
        sites, gate = Sites(seed, products, visit, pause, lambda: bound_port), Gate()
        server = Server(sites.respond, access, latency, gate)
        loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
        thread = threading.Thread(target=_run, args=[loop, server.serve(sockets, stop, ready.set)], name="shop")
        thread.start()
        ready.wait()
        try:
            yield Shop(seed, products, visit, bound_port, path, gate)
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            access.close()


def _run(loop: asyncio.AbstractEventLoop, serving: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(serving)


@contextmanager
def shop_process(
    seed: int = 7, products: int = 200, *, log: Path, prepare: bool = False, **options: object
) -> Iterator[Shop]:
    """Run the shop in its own process, for benchmarks that must not share an interpreter with it.

    Args:
        log: the file of the access log.
        prepare: draw all photos before the first request.
        options: visit, port, latency and pause, as for `running_shop`.
    """
    command = [sys.executable, "-m", "tests.shop", "--seed", str(seed), "--products", str(products), "--log", str(log)]
    command += ["--prepare"] if prepare else []
    command += [f"--{name}={value}" for name, value in options.items()]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            started = json.loads(process.stdout.readline())
            yield Shop(seed, products, int(str(options.get("visit", 1))), started["port"], log)
        finally:
            process.terminate()

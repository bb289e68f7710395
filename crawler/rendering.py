"""Draws pages whose products only a script shows, in a headless Chromium (docs/adr/0030-rendered-pages.md).

The browser reaches the network through the guarded proxy only. One page is drawn at a time.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from core.fetching import Fetched, Fetcher
from core.fetching.fetcher import USER_AGENT
from core.fetching.proxy import GuardedProxy
from core.item_errors import PageNotDrawn
from core.settings import Settings

log = structlog.get_logger(__name__)

MAX_SECONDS = 20.0
"""Seconds for drawing one page. Then Chromium is killed."""
_QUIET_SECONDS = 8.0
"""Seconds to wait for the requests of a page to end. Then its content is taken as it is."""
MAX_BYTES = 30 * 2**20
"""Maximum number of bytes that the requests of one page may bring."""
_MAX_REQUESTS = 200
"""Maximum number of requests of one page."""
_MAX_HTML = 10 * 2**20
_MAX_MEMORY = 1536 * 2**20
"""Bytes of all processes of Chromium together. Above it, they are killed."""
_MAX_CONTEXTS = 4
_PAGES_PER_BROWSER = 200
"""Chromium is started anew after this number of pages, because its memory grows."""
_WATCH_SECONDS = 0.5
_UNUSED = frozenset({"image", "media", "font", "manifest", "texttrack", "ping", "cspviolationreport", "websocket"})
"""Kinds of requests that change nothing of what extraction reads. It needs the URL of a picture, not the picture."""
_ARGUMENTS = (
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--dns-prefetch-disable",
    "--no-pings",
    # Otherwise Chromium asks Google for accounts.
    "--gaia-url=http://accounts.invalid",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--js-flags=--max-old-space-size=512",
    # Without this, requests to loopback go past the proxy.
    "--proxy-bypass-list=<-loopback>",
)


class Renderer:
    """Draws the pages of the hosts that need it. Threads share it."""

    def __init__(self, settings: Settings, fetcher: Fetcher, allow: Callable[[str], bool]) -> None:
        """`allow`: whether the robots.txt of its host, as far as it is known, allows a URL."""
        self.for_empty_hosts = settings.render == "auto"
        self.hosts: set[str] = set()
        """The hosts whose pages are drawn."""
        self._executable = settings.chromium or None
        self._sandbox = settings.chromium_sandbox
        self._allow = allow
        self._fetcher = fetcher
        self._proxy: GuardedProxy | None = None
        self._browser: Any = None
        self._contexts: OrderedDict[str, Any] = OrderedDict()
        self._pages = 0
        # Playwright's objects belong to the thread that made them.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="render")

    def draws(self, url: str) -> bool:
        return urlsplit(url).netloc in self.hosts

    def render(self, fetched: Fetched) -> Fetched:
        """Return a fetched page as it is after its scripts have run.

        Raises:
            PageNotDrawn: the page did not end in time, or there is no browser.
        """
        return self._thread.submit(self._render, fetched).result()

    def close(self) -> None:
        """Stop Chromium and the proxy."""
        if self._browser is not None:
            self._thread.submit(self._stop).result()
        self._thread.shutdown()
        if self._proxy is not None:
            self._proxy.close()

    def _render(self, fetched: Fetched) -> Fetched:
        try:
            browser, proxy = self._started()
        except Exception as error:
            raise PageNotDrawn(_why_not_started(error)) from error
        before = proxy.received
        proxy.allow_bytes(MAX_BYTES)
        try:
            with _watched(proxy.url):
                html = self._content(browser, fetched)
        except Exception as error:
            self._stop()
            reason = f"expected a page within {MAX_SECONDS:g} s, but Chromium failed: {_first_line(error)}"
            raise PageNotDrawn(reason) from error
        finally:
            proxy.allow_bytes(0)
        self._pages += 1
        if self._pages % _PAGES_PER_BROWSER == 0:
            self._stop()
        body = html.encode("utf-8", "replace")[:_MAX_HTML]
        # The validators are those of the page without its products.
        kept = {name: value for name, value in fetched.headers.items() if name not in {"etag", "last-modified"}}
        return replace(
            fetched,
            body=body,
            size=len(body),
            headers={**kept, "content-type": "text/html; charset=utf-8"},
            wire_bytes=fetched.wire_bytes + proxy.received - before,
        )

    def _started(self) -> tuple[Any, GuardedProxy]:
        """Return the running browser and its proxy. Start them if necessary."""
        if self._proxy is None:
            self._proxy = GuardedProxy(self._fetcher)
        if self._browser is None:
            from playwright.sync_api import sync_playwright

            self._playwright = sync_playwright().start()
            self._browser = self._playwright.chromium.launch(
                executable_path=self._executable,
                args=[*_ARGUMENTS, f"--proxy-server={self._proxy.url}"],
                chromium_sandbox=self._sandbox,
            )
        return self._browser, self._proxy

    def _stop(self) -> None:
        """Stop Chromium. The next page starts it again."""
        browser, self._browser = self._browser, None
        self._contexts.clear()
        for stop in (browser.close, self._playwright.stop):
            with suppress(Exception):
                stop()

    def _context(self, browser: Any, host: str) -> Any:
        """Return the context of a host, which shares nothing with those of other hosts."""
        if host not in self._contexts:
            while len(self._contexts) >= _MAX_CONTEXTS:
                self._contexts.popitem(last=False)[1].close()
            self._contexts[host] = browser.new_context(
                user_agent=USER_AGENT, service_workers="block", accept_downloads=False
            )
        self._contexts.move_to_end(host)
        return self._contexts[host]

    def _content(self, browser: Any, fetched: Fetched) -> str:
        from playwright.sync_api import TimeoutError as NotQuiet

        page = self._context(browser, urlsplit(fetched.url).netloc).new_page()
        try:
            page.set_default_timeout(MAX_SECONDS * 1000)
            page.on("popup", lambda popup: popup.close())
            page.route("**/*", _Requests(page, fetched, self._allow).decide)
            page.goto(fetched.url, wait_until="domcontentloaded")
            with suppress(NotQuiet):
                page.wait_for_load_state("networkidle", timeout=_QUIET_SECONDS * 1000)
            return str(page.content())
        finally:
            page.close()


class _Requests:
    """Decides about the requests of one page."""

    def __init__(self, page: Any, fetched: Fetched, allow: Callable[[str], bool]) -> None:
        self._page = page
        self._fetched = fetched
        self._allow = allow
        self._number = 0

    def decide(self, route: Any) -> None:
        request = route.request
        self._number += 1
        if request.is_navigation_request() and request.frame == self._page.main_frame:
            if self._number > 1:
                # The crawl meets other pages as links. This reason keeps the page that is shown.
                route.abort("aborted")
                return
            content_type = self._fetched.headers.get("content-type", "text/html")
            route.fulfill(status=200, body=self._fetched.body, headers={"content-type": content_type})
        elif self._number > _MAX_REQUESTS or request.resource_type in _UNUSED or not self._allow(request.url):
            route.abort()
        else:
            route.continue_()


@contextmanager
def _watched(proxy_url: str) -> Iterator[None]:
    """Kill the Chromium that uses this proxy if the block takes too long or Chromium needs too much memory.

    A script may run without end, and then no call of Playwright returns.
    """
    done = threading.Event()

    def watch() -> None:
        ends = time.monotonic() + MAX_SECONDS
        while not done.wait(_WATCH_SECONDS):
            group = _process_group(proxy_url)
            if group is not None and (time.monotonic() > ends or _memory_of(group) > _MAX_MEMORY):
                log.warning("chromium_killed", reason="it took too long or too much memory")
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, signal.SIGKILL)

    watcher = threading.Thread(target=watch, name="watch-chromium", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _process_group(proxy_url: str) -> int | None:
    """Return the process group of the Chromium that uses this proxy. Playwright does not tell it."""
    argument = f"--proxy-server={proxy_url}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if argument in (process / "cmdline").read_bytes().split(b"\0"):
                group = os.getpgid(int(process.name))
                return group if group != os.getpgrp() else None
    return None


def _memory_of(group: int) -> int:
    """Return the resident bytes of a process group."""
    pages = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getpgid(int(process.name)) == group:
                pages += int((process / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _why_not_started(error: Exception) -> str:
    if isinstance(error, ImportError):
        return (
            "expected Playwright, which draws pages, but it is not installed; "
            "run `pip install -r requirements/render.txt`"
        )
    return (
        f"expected Chromium to start, but it did not: {_first_line(error)} "
        "(LOOKBOOK_CHROMIUM is its path, and LOOKBOOK_CHROMIUM_SANDBOX=false turns its sandbox off)"
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), repr(error))

"""Markup in every text that the API sends to the pages, and the proof that none of it became more than text."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import httpx
from playwright.sync_api import Page, Request, Route

from tests.conftest import RunningService

PAYLOAD = (
    "\"'`><img src=https://evil.example/i onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)>"
    "<iframe srcdoc='<script>alert(4)</script>'></iframe><a href=javascript:alert(5)>x</a>{{7*7}}&lt;script&gt;"
)
URL_PAYLOAD = 'javascript:alert(6)//"><img src=https://evil.example/u onerror=alert(7)>'
INJECTED = """() => [...document.querySelectorAll("*")].flatMap((element) => {
  const found = [...element.attributes]
    .filter(({ name, value }) => name.startsWith("on") || name === "srcdoc"
      || (["href", "src", "action", "formaction", "data", "xlink:href"].includes(name)
        && /^\\s*(javascript:|vbscript:|data:text|(https?:)?\\/\\/evil)/i.test(value)))
    .map(({ name, value }) => `${element.tagName} ${name}=${value}`);
  if (["IFRAME", "OBJECT", "EMBED", "BASE"].includes(element.tagName)) found.push(element.tagName);
  if (element.tagName === "SCRIPT" && !element.src && element.type !== "importmap") found.push(element.outerHTML);
  return found;
})"""
"""Yields the elements and attributes of a page that no page of ours has, and that foreign text could have made."""

_STRUCTURE = re.compile(r"(?:[a-z]{3}_[0-9a-z]{26}(?:\.\d+)?|\d{4}-\d\d-\d\d(?:T.*)?|/(?:v1|jobs|samples|shared)/.*)")
_TRANSFER_HEADERS = {"content-encoding", "content-length", "transfer-encoding", "connection", "keep-alive"}
_KEPT_MEMBERS = {"next_cursor", "media_type", "etag"}


class HostileService:
    """Rewrites the answers of the API on their way to a page, and collects what foreign text has caused."""

    def __init__(self, service: RunningService, console_errors: list[str]) -> None:
        """`console_errors` receives what the pages write to their consoles."""
        self._url = urlsplit(service.url).netloc
        self._console_errors = console_errors
        self._words, self._members = {"ready", "ok"}, set[str]()
        self._learn(httpx.get(f"{service.url}/openapi.json", trust_env=False).json())
        self.texts = 0
        """How many texts were replaced."""
        self.caused: list[str] = []
        """Dialogs, requests to other hosts, and injected elements."""

    def _learn(self, schema: Any) -> None:
        """Collect the members of all objects, and the words of all enumerations. These are not foreign texts."""
        if isinstance(schema, dict):
            self._words |= {word for word in schema.get("enum") or () if isinstance(word, str)}
            self._words |= {schema["const"]} if isinstance(schema.get("const"), str) else set()
            if isinstance(schema.get("properties"), dict):
                self._members |= set(schema["properties"])
        for value in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
            self._learn(value)

    def watch(self, page: Page) -> None:
        """Collect what a page does that it should not, from now on."""
        page.on("dialog", self._dismiss)
        page.on("request", self._note_request)

    def attack(self, page: Page) -> None:
        """Watch a page, and rewrite all that it asks the API for from now on."""
        self.watch(page)
        page.route(re.compile(r"/v1/|/session$"), self._answer)

    def check(self, page: Page) -> None:
        """Fail if foreign text became anything but text."""
        page.wait_for_load_state("networkidle")
        # The browser itself writes about each answer of 4xx. Violations of the CSP and exceptions stay.
        self._console_errors[:] = [text for text in self._console_errors if "Failed to load resource" not in text]
        found = self.caused + page.evaluate(INJECTED) + self._console_errors
        assert found == [], f"{page.url}: {found}"

    def _dismiss(self, dialog: Any) -> None:
        self.caused.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _note_request(self, request: Request) -> None:
        if request.url.startswith(("http:", "https:")) and urlsplit(request.url).netloc != self._url:
            self.caused.append(f"request {request.url}")

    def _answer(self, route: Route) -> None:
        request = route.request
        if request.resource_type != "fetch":
            route.continue_()
            return
        url, headers = _without_payload(request.url), request.all_headers()
        # A connection of its own, because the service may end one that is kept just as the next request is sent.
        answer = httpx.request(
            request.method, url, headers=headers, content=request.post_data_buffer, timeout=60, trust_env=False
        )
        is_json = "json" in answer.headers.get("content-type", "")
        body = json.dumps(self._rewrite(answer.json())) if is_json and answer.content else answer.content
        kept = {name: value for name, value in answer.headers.items() if name not in _TRANSFER_HEADERS}
        route.fulfill(status=answer.status_code, headers=kept, body=body)

    def _rewrite(self, value: Any, member: str = "") -> Any:
        if isinstance(value, dict):
            return {
                name if name in self._members else self._text(name): self._rewrite(inner, name)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self._rewrite(inner, member) for inner in value]
        return self._text(value) if isinstance(value, str) and member not in _KEPT_MEMBERS else value

    def _text(self, text: str) -> str:
        if text in self._words or _STRUCTURE.fullmatch(text):
            return text
        self.texts += 1
        return URL_PAYLOAD if text.startswith(("http://", "https://")) else text + PAYLOAD


def _without_payload(url: str) -> str:
    """Return the URL of a request as the page would have sent it with the true texts."""
    parts = urlsplit(url)
    query = [(name, value.replace(PAYLOAD, "")) for name, value in parse_qsl(parts.query, keep_blank_values=True)]
    path = quote(unquote(parts.path).replace(PAYLOAD, ""))
    return parts._replace(path=path, query=urlencode(query)).geturl()

"""Hostile texts in the paths, queries and headers of all routes: no file, no header and no markup comes back."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from werkzeug.routing import Rule

from api.app import create_app
from core.settings import PROJECT, Settings
from tests.conftest import RunningService

OUTSIDE = ("etc/passwd", "pyproject.toml", "core/settings.py", "lookbook.db", "logs/api.log")
"""Files that no route may send, as they are named below a folder that a path climbs to."""
CLIMBS = (
    "../" * 8,
    "..%2f" * 8,
    "%2e%2e/" * 8,
    "%2e%2e%2f" * 8,
    "..%5c" * 8,
    "....//" * 8,
    "..%252f" * 8,
    "..%c0%af" * 8,
    "..;/" * 8,
    "%00../" * 8,
    "../",
    "..%2f",
    "js/../../",
    "/",
    "%2f",
    "//",
    "file:///",
    "C:%5c",
)
CONTENTS = re.compile(rb"root:.*:0:0:|\[project\]\nname|class Settings\(|SQLite format 3|\"event\": ")
"""What the files above contain."""
SPLITS = (
    "%0d%0aX-Injected:%20yes",
    "%0aX-Injected:yes%0a%0a<p>",
    "%0d%0a%0d%0aHTTP/1.1%20200%20OK",
    "%e5%98%8a%e5%98%8dX-Injected:yes",
)
MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "{{7*7}}${7*7}<%=7*7%>",
    "</title><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "＜script＞alert(1)＜/script＞",
)
RAW_MARKUP = re.compile(rb"<script>alert|<img src=x|<svg/onload|href=.javascript:|49\$?49")
HEADERS = (
    "X-Request-ID",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "If-None-Match",
    "Range",
    "Origin",
    "Cookie",
    "Prefer",
)
ELSEWHERE = (
    "//evil.example/jobs",
    "//evil.example//jobs",
    "/\\evil.example/jobs",
    "/%2f%2fevil.example",
    "/;@evil.example",
    "https://evil.example/",
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> list[Rule]:
    home = tmp_path_factory.mktemp("routes")
    return list(create_app(Settings(home=home, redis_url=f"unix://{home}/none.sock")).url_map.iter_rules())


@pytest.fixture(scope="module")
def queries(service: RunningService) -> dict[str, list[str]]:
    """The names of the query parameters of each path that answers GET."""
    with closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)) as connection:
        connection.request("GET", "/openapi.json")
        paths: dict[str, Any] = json.loads(connection.getresponse().read())["paths"]
    return {
        path: [parameter["name"] for parameter in methods["get"].get("parameters", []) if parameter["in"] == "query"]
        for path, methods in paths.items()
        if "get" in methods
    }


class Walk:
    """Sends raw requests to the service, and checks what every answer must be."""

    def __init__(self, service: RunningService) -> None:
        self._service = service
        self._connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        self.requests = 0

    def close(self) -> None:
        self._connection.close()

    def send(self, method: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """Send a path as it is written, and return the status and the body."""
        self.requests += 1
        self._connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in ({"Content-Length": "0"} | (headers or {})).items():
            self._connection.putheader(name, value)
        self._connection.endheaders()
        answer = self._connection.getresponse()
        body = answer.read()
        said = f"{method} {path} {headers}: {answer.status} {answer.getheaders()} {body[:300]!r}"
        assert answer.status < 500, said
        assert answer.getheader("X-Injected") is None, said
        assert CONTENTS.search(body) is None, said
        if answer.getheader("Content-Type", "").startswith("text/html"):
            assert RAW_MARKUP.search(body) is None, said
        elif answer.status >= 400:
            assert answer.getheader("Content-Type") in {"application/problem+json", None}, said
            assert method == "HEAD" or json.loads(body)["status"] == answer.status, said
        location = urlsplit(answer.getheader("Location", ""))
        assert location.netloc in {"", f"127.0.0.1:{self._service.port}"}, said
        return answer.status, body


@pytest.fixture
def walk(service: RunningService) -> Iterator[Walk]:
    made = Walk(service)
    yield made
    made.close()


def filled(rule: Rule, value: str) -> Iterator[str]:
    """Yield the path of a rule with `value` in place of each parameter, one at a time."""
    parts = re.split(r"<(?:\w+:)?\w+>", rule.rule)
    for number in range(len(parts) - 1):
        values = [value if other == number else "x" for other in range(len(parts) - 1)]
        yield "".join(part + filling for part, filling in zip(parts, [*values, ""], strict=True))


def test_no_path_leads_to_a_file_outside(walk: Walk, rules: list[Rule], service: RunningService) -> None:
    assert (service.home / "lookbook.db").exists()
    absolute = [quote(str(path)[1:]) for path in (service.home / "lookbook.db", PROJECT / "pyproject.toml")]
    targets = [climb + file for climb in CLIMBS for file in (*OUTSIDE, *absolute)]
    for rule in rules:
        sends_files = rule.endpoint in {"static", "pages.sample", "pages.sample_thumbnail"}
        for target in targets if sends_files else targets[::5]:
            for path in filled(rule, target):
                for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} & set(rule.methods or ()):
                    status, _ = walk.send(method, path)
                    assert status >= 300, path
    assert walk.requests > 1000


def test_no_text_of_a_request_becomes_a_header_or_markup(
    walk: Walk, rules: list[Rule], queries: dict[str, list[str]]
) -> None:
    unquoted = [quote(text, safe="<>'\"=()/").replace("%20", "+") for text in MARKUP]
    for rule in rules:
        if "GET" not in (rule.methods or ()):
            continue
        documented = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        plain = re.sub(r"<[^>]+>", "x", rule.rule)
        for payload in (*SPLITS, *map(quote, MARKUP), *unquoted):
            query = "&".join(f"{name}={payload}" for name in queries.get(documented, ["next", "jobs", "q"]))
            for path in (*filled(rule, payload), f"{plain}?{query}"):
                walk.send("GET", path, {"Accept": "text/html"})
                walk.send("GET", path)
        for text in MARKUP:
            walk.send("GET", plain, dict.fromkeys(HEADERS, text.encode().decode("latin-1")))
    assert walk.requests > 2000


def test_no_address_leads_to_another_host(walk: Walk) -> None:
    for address in ELSEWHERE:
        walk.send("GET", address)
        walk.send("GET", f"/login?next={quote(address)}")

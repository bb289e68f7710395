"""URLs in one spelling. What is checked is what is asked for: nothing later reads the user's text again.

The pieces are taken apart by the URL Standard's rules (https://url.spec.whatwg.org/), more strictly: what browsers
mend (missing slashes, backslashes in the host, tabs and line ends) is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, unquote, urljoin

import idna

from core.errors import FetchForbidden
from core.fetching.addresses import Address, unmapped

MAX_URL = 2083
"""Longest URL, in characters: what old browsers and sitemaps agree on."""

DEFAULT_PORTS = {"http": 80, "https": 443}

_SHOWN = 80
"""How many characters of a URL an error repeats."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line separators, and halves of characters that UTF-8 cannot write."""
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*):(?://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?)?", re.I
)
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[0-9]{0,5}))?")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_NUMBER = re.compile(r"(?:0x(?P<hex>[0-9a-f]*)|(?P<octal>0[0-7]+)|(?P<decimal>0|[1-9][0-9]*))")
_LOOKS_LIKE_A_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_MAX_HOST = 253

# What the URL Standard leaves alone (its path and special-query percent-encode sets); "%" stays, escaped or not.
_PATH_SAFE = "!$%&'()*+,-./:;=@[\\]_|~"
_QUERY_SAFE = "!$%&()*+,-./:;=?@[\\]^_`{|}~"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart, in its one spelling."""

    scheme: str
    host: str
    """In lower case and ASCII, without trailing dot; an address in its usual notation, IPv6 without brackets."""
    port: int
    path: str
    """With the query, percent-encoded."""
    address: Address | None
    """The host, if it is an address."""

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def name(self) -> str:
        """The last part of the path as people read it; the host where the path has none. Text to show, never a path."""
        last = unquote(self.path.partition("?")[0].rstrip("/").rpartition("/")[2])
        return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", last) or self.host

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def quoted_excerpt(text: str) -> str:
    """A piece of somebody's text for an error: escaped and cut."""
    quoted = repr(text)
    return quoted if len(quoted) <= _SHOWN else quoted[:_SHOWN] + "…"


def parse_url(url: str) -> Target:
    """A URL from outside.

    Raises:
        FetchForbidden: it is not http or https, too long, or has user info, control characters or an impossible host.
    """
    if len(url) > MAX_URL:
        raise FetchForbidden(f"expected a URL of at most {MAX_URL} characters, got {len(url)}")
    if _CONTROL.search(url):
        raise FetchForbidden(f"expected a URL without control characters, got {quoted_excerpt(url)}")
    match = _URL.match(url.strip(" "))
    scheme = match["scheme"].lower() if match else ""
    if match is None or scheme not in DEFAULT_PORTS or not match["authority"]:
        raise FetchForbidden(f"expected a URL that begins with http:// or https://, got {quoted_excerpt(url)}")
    if "@" in match["authority"]:
        raise FetchForbidden("expected a URL without user name and password")
    parts = _AUTHORITY.fullmatch(match["authority"])
    port = int((parts and parts["port"]) or DEFAULT_PORTS[scheme])
    if parts is None or not 0 < port <= 65535:
        raise FetchForbidden(f"expected a host and perhaps a port, got {quoted_excerpt(match['authority'])}")
    host, address = _host_of_v6(parts["v6"]) if parts["v6"] else _host_of_name(parts["name"])
    path = quote(match["path"] or "/", safe=_PATH_SAFE) + quote(match["query"] or "", safe=_QUERY_SAFE)
    return Target(scheme, host, port, path, address)


def redirect_target(target: Target, location: str) -> Target:
    """Where a Location header of `target` leads.

    Raises:
        FetchForbidden: to what `parse_url` refuses.
    """
    if _CONTROL.search(location):
        raise FetchForbidden(f"expected a URL without control characters, got {quoted_excerpt(location)}")
    try:
        return parse_url(urljoin(str(target), location.strip(" ")))
    except ValueError as error:
        raise FetchForbidden(f"expected a URL, got {quoted_excerpt(location)}") from error


def _host_of_v6(text: str) -> tuple[str, Address]:
    try:
        address = unmapped(IPv6Address(text))
    except AddressValueError as error:
        raise FetchForbidden(f"expected an IPv6 address in the brackets, got {quoted_excerpt(text)}") from error
    return str(address), address


def _host_of_name(text: str) -> tuple[str, Address | None]:
    try:
        host = unquote(text, errors="strict").lower()
        if not host.isascii():
            # Maps full-width and circled characters, ideographic dots and the like to what getaddrinfo would read.
            host = idna.encode(host, uts46=True).decode("ascii").lower()
    except (UnicodeError, ValueError) as error:
        raise FetchForbidden(f"expected a host name, got {quoted_excerpt(text)}") from error
    host = host.removesuffix(".")
    labels = host.split(".")
    if _LOOKS_LIKE_A_NUMBER.fullmatch(labels[-1]):
        address = _number(labels)
        if address is None:
            raise FetchForbidden(f"expected a host name or an IPv4 address, got {quoted_excerpt(text)}")
        return str(address), address
    if len(host) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise FetchForbidden(f"expected a host name, got {quoted_excerpt(text)}")
    return host, None


def _number(parts: list[str]) -> IPv4Address | None:
    """An IPv4 address as `inet_aton` and the URL Standard's IPv4 parser read it: one to four numbers, each decimal,
    octal or hexadecimal, the last one filling the remaining bytes."""
    numbers = []
    for part in parts:
        match = _NUMBER.fullmatch(part)
        if match is None:
            return None
        digits, base = (
            (match["hex"] or "0", 16)
            if match["hex"] is not None
            else (match["octal"], 8)
            if match["octal"]
            else (match["decimal"], 10)
        )
        if len(digits) > 3 * 11:  # far more than 32 bits, and not worth computing
            return None
        numbers.append(int(digits, base))
    *first, last = numbers
    if len(numbers) > 4 or any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    value = last
    for index, number in enumerate(first):
        value += number << (8 * (3 - index))
    return IPv4Address(value)

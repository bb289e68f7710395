"""Parses URLs into one spelling. Checks and requests both use this spelling, and no later code reads the original text.

The parser follows the rules of the URL Standard (https://url.spec.whatwg.org/) but is stricter. It refuses everything
that browsers repair: missing slashes, backslashes in the host, tabs and line ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, unquote, urljoin

import idna

from core.errors import quoted_excerpt
from core.fetching.addresses import Address, unmapped
from core.item_errors import FetchForbidden

MAX_URL = 2083
"""Maximum length of a URL in characters. Old browsers and sitemaps have about the same limit."""

DEFAULT_PORTS = {"http": 80, "https": 443}

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line separators, and surrogates, which UTF-8 cannot encode."""
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*):(?://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?)?", re.I
)
_AUTHORITY = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[0-9]{0,5}))?")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_NUMBER = re.compile(r"(?:0x(?P<hex>[0-9a-f]*)|(?P<octal>0[0-7]+)|(?P<decimal>0|[1-9][0-9]*))")
_LOOKS_LIKE_A_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_MAX_HOST = 253
"""Maximum length of a host name in characters (RFC 1035)."""

# Characters that the URL Standard does not escape (its path and special-query percent-encode sets). "%" stays as it is,
# whether it begins an escape or not.
_PATH_SAFE = "!$%&'()*+,-./:;=@[\\]_|~"
_QUERY_SAFE = "!$%&()*+,-./:;=?@[\\]^_`{|}~"


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL, each in its only spelling."""

    scheme: str
    host: str
    """In lower-case ASCII, without a trailing dot. IP addresses have their usual notation, IPv6 without brackets."""
    port: int
    path: str
    """The percent-encoded path, with the query."""
    address: Address | None
    """The host as an IP address, or None if the host is a name."""

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """Return the host and port as in the Host header, which omits the default port of the scheme."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def name(self) -> str:
        """Return the last part of the path, unquoted, or the host if that part is empty. Do not use it as a path."""
        last = unquote(self.path.partition("?")[0].rstrip("/").rpartition("/")[2])
        return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", last) or self.host

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_url(url: str) -> Target:
    """Parse a URL that a stranger wrote.

    Raises:
        FetchForbidden: the scheme is not http or https, the URL is too long, it has a user name, a password or control
            characters, or its host is not possible.
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
        raise FetchForbidden("expected a URL without a user name or password")
    parts = _AUTHORITY.fullmatch(match["authority"])
    port = int((parts and parts["port"]) or DEFAULT_PORTS[scheme])
    if parts is None or not 0 < port <= 65535:
        raise FetchForbidden(f"expected a host with or without a port, got {quoted_excerpt(match['authority'])}")
    host, address = _host_from_ipv6(parts["ipv6"]) if parts["ipv6"] else _host_from_name(parts["name"])
    path = quote(match["path"] or "/", safe=_PATH_SAFE) + quote(match["query"] or "", safe=_QUERY_SAFE)
    return Target(scheme, host, port, path, address)


def redirect_target(target: Target, location: str) -> Target:
    """Return the target of a redirect from `target` with this Location header.

    Raises:
        FetchForbidden: `parse_url` refuses the new URL.
    """
    if _CONTROL.search(location):
        raise FetchForbidden(f"expected a URL without control characters, got {quoted_excerpt(location)}")
    try:
        return parse_url(urljoin(str(target), location.strip(" ")))
    except ValueError as error:
        raise FetchForbidden(f"expected a URL, got {quoted_excerpt(location)}") from error


def _host_from_ipv6(text: str) -> tuple[str, Address]:
    try:
        address = unmapped(IPv6Address(text))
    except AddressValueError as error:
        raise FetchForbidden(f"expected an IPv6 address in brackets, got {quoted_excerpt(text)}") from error
    return str(address), address


def _host_from_name(text: str) -> tuple[str, Address | None]:
    try:
        host = unquote(text, errors="strict").lower()
        if not host.isascii():
            # This maps full-width and circled characters, ideographic dots and so on to what getaddrinfo would read.
            host = idna.encode(host, uts46=True).decode("ascii").lower()
    except (UnicodeError, ValueError) as error:
        raise FetchForbidden(f"expected a host name, got {quoted_excerpt(text)}") from error
    host = host.removesuffix(".")
    labels = host.split(".")
    if _LOOKS_LIKE_A_NUMBER.fullmatch(labels[-1]):
        address = _ipv4_of_numbers(labels)
        if address is None:
            raise FetchForbidden(f"expected a host name or an IPv4 address, got {quoted_excerpt(text)}")
        return str(address), address
    if len(host) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise FetchForbidden(f"expected a host name, got {quoted_excerpt(text)}")
    return host, None


def _ipv4_of_numbers(parts: list[str]) -> IPv4Address | None:
    """Return the IPv4 address that `inet_aton` and the URL Standard's IPv4 parser read, or None if it is none.

    It has one to four decimal, octal or hexadecimal numbers. The last number fills the remaining bytes.
    """
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
        if len(digits) > 3 * 11:  # far more than 32 bits, so that converting it would waste time
            return None
        numbers.append(int(digits, base))
    *first, last = numbers
    if len(numbers) > 4 or any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    value = last
    for index, number in enumerate(first):
        value += number << (8 * (3 - index))
    return IPv4Address(value)

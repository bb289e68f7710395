"""Where the shop's sites are: their names, and the addresses of this machine that stand for them."""

from __future__ import annotations

from ipaddress import IPv4Network

DOMAIN = "shop.test"
SITES = (
    *("json-ld", "json-ld-broken", "microdata", "open-graph", "next", "state", "picture", "lazy", "noscript", "img"),
    *("cdn", "traps", "wall", "empty", "calendar", "sessions", "tracked"),
    *("polite", "busy", "slow", "closed", "ill", "free"),
)
BY_NAME = "127.0.0.1"
"""What every name leads to."""
ADDRESSES = {name: f"127.1.0.{number}" for number, name in enumerate(SITES, 1)}
"""For whoever cannot be given a resolver, each site has an address of its own as well."""
INSIDE = "127.0.0.2"
"""An address of this machine that nobody may be led to; the shop listens there to hear who comes."""
ALLOW = (IPv4Network(f"{BY_NAME}/32"), IPv4Network("127.1.0.0/24"))
"""What a guarded fetcher has to let through, and no more."""

_ADDRESSED = {address: name for name, address in ADDRESSES.items()}


def site_of(host: str) -> str:
    """The site that a Host header (without its port) means: by its address, or by its name in whatever domain."""
    return _ADDRESSED.get(host) or host.partition(".")[0]


def neighbour(base: str, site: str) -> str:
    """The origin of another site, by address if `base` is one, or else by its name in the same domain."""
    host, colon, port = base.removeprefix("http://").partition(":")
    there = ADDRESSES[site] if host in _ADDRESSED else f"{site}.{host.partition('.')[2]}"
    return f"http://{there}{colon}{port}"

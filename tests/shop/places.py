"""The names of the shop's sites, and their IP addresses on this machine."""

from __future__ import annotations

from ipaddress import IPv4Network

DOMAIN = "shop.test"
SITES = (
    *("json-ld", "json-ld-broken", "microdata", "open-graph", "next", "state", "picture", "lazy", "noscript", "img"),
    *(
        "cdn",
        "traps",
        "wall",
        "empty",
        "calendar",
        "sessions",
        "tracked",
        "facets",
        "growing",
        "bare",
        "languages",
        "drawn",
        "shopify",
        "woocommerce",
    ),
    *("polite", "busy", "slow", "closed", "ill", "free"),
)
BY_NAME = "127.0.0.1"
"""The IP address that every site's name resolves to."""
ADDRESSES = {name: f"127.1.0.{number}" for number, name in enumerate(SITES, 1)}
"""Each site's own IP address, for clients that accept no resolver."""
INSIDE = "127.0.0.2"
"""An IP address that stands for the private network. The shop listens there to record clients, which must not come."""
ALLOW = (IPv4Network(f"{BY_NAME}/32"), IPv4Network("127.1.0.0/24"))
"""The only networks that a guarded fetcher has to allow."""

_ADDRESSED = {address: name for name, address in ADDRESSES.items()}


def site_of(host: str) -> str:
    """Return the site that a Host header without its port means, by its IP address or its name in any domain."""
    return _ADDRESSED.get(host) or host.partition(".")[0]


def neighbour(base: str, site: str) -> str:
    """Return the origin of another site: with its IP address if `base` has one, else with its name in the domain."""
    host, colon, port = base.removeprefix("http://").partition(":")
    other_host = ADDRESSES[site] if host in _ADDRESSED else f"{site}.{host.partition('.')[2]}"
    return f"http://{other_host}{colon}{port}"

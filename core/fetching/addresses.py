"""Decides which IP addresses are public, by the table `special_addresses.csv`. The head of the table names its sources.

`ipaddress.is_global` is not enough. It calls multicast, NAT64, 6to4 and the metadata addresses of some clouds global.
"""

from __future__ import annotations

import csv
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

TABLE = Path(__file__).with_name("special_addresses.csv")

_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""The only part of IPv6 from which addresses are assigned (IANA IPv6 address space registry)."""

_IPV4_IN_LOW_32_BITS = {
    "IPv4-compatible": IPv6Network("::/96"),
    "IPv4-translated": IPv6Network("::ffff:0:0:0/96"),
    "NAT64": IPv6Network("64:ff9b::/96"),
    "local NAT64": IPv6Network("64:ff9b:1::/48"),
}
"""Blocks whose IP addresses contain an IPv4 address in their last 32 bits (RFC 4291, 2765, 6052, 8215)."""

_ISATAP_IDENTIFIERS = (0x00005EFE, 0x02005EFE)
"""The upper halves of ISATAP interface identifiers. The lower half is an IPv4 address (RFC 5214, 6.1)."""


@dataclass(frozen=True, slots=True)
class SpecialBlock:
    """One row of the table."""

    network: Network
    name: str
    public: bool


@cache
def special_blocks() -> tuple[SpecialBlock, ...]:
    """Return the table with the smallest blocks first, so that a search finds the most specific name first."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        blocks = [
            SpecialBlock(ipaddress.ip_network(row["block"]), row["name"], row["globally_reachable"] == "True")
            for row in rows
        ]
    return tuple(sorted(blocks, key=lambda block: -block.network.prefixlen))


def unmapped(address: Address) -> Address:
    """Return the IPv4 address to which the kernel connects for an IPv4-mapped IPv6 address. Return others unchanged."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def embedded_ipv4(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses inside an IPv6 address, because a relay or translator may forward packets to them."""
    if isinstance(address, IPv4Address):
        return
    bits = int(address)
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if bits > 1 and any(address in block for block in _IPV4_IN_LOW_32_BITS.values()):
        yield IPv4Address(bits & 0xFFFFFFFF)
    if (bits >> 32) & 0xFFFFFFFF in _ISATAP_IDENTIFIERS:
        yield IPv4Address(bits & 0xFFFFFFFF)


def why_not_public(address: Address) -> str | None:
    """Return the registry's name for the block of an IP address that is not public, or None if it is public."""
    for block in special_blocks():
        if not block.public and address in block.network:
            return block.name
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return "outside 2000::/3"
    return None

"""Which addresses are public, by `special_addresses.csv` (where it comes from is said at its head).

`ipaddress.is_global` is not enough: it calls multicast, NAT64, 6to4 and the metadata addresses of some clouds global.
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
"""The only part of IPv6 that is handed out (IANA IPv6 address space registry)."""

_LOW_32_BITS = {
    "IPv4-compatible": IPv6Network("::/96"),
    "IPv4-translated": IPv6Network("::ffff:0:0:0/96"),
    "NAT64": IPv6Network("64:ff9b::/96"),
    "local NAT64": IPv6Network("64:ff9b:1::/48"),
}
"""Blocks that carry an IPv4 address in their last 32 bits (RFC 4291, 2765, 6052, 8215)."""

_ISATAP = (0x00005EFE, 0x02005EFE)
"""The upper half of an ISATAP interface identifier; the lower one is an IPv4 address (RFC 5214, 6.1)."""


@dataclass(frozen=True, slots=True)
class SpecialBlock:
    """A row of the table."""

    network: Network
    name: str
    public: bool


@cache
def special_blocks() -> tuple[SpecialBlock, ...]:
    """The table, the smallest blocks first, so that the most telling name is found first."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        blocks = [
            SpecialBlock(ipaddress.ip_network(row["block"]), row["name"], row["globally_reachable"] == "True")
            for row in rows
        ]
    return tuple(sorted(blocks, key=lambda block: -block.network.prefixlen))


def unmapped(address: Address) -> Address:
    """An IPv4-mapped IPv6 address as the IPv4 address that the kernel would connect to; others as they are."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def carried(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses within an IPv6 address: a relay or translator on the way may send on to them."""
    if isinstance(address, IPv4Address):
        return
    bits = int(address)
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if bits > 1 and any(address in block for block in _LOW_32_BITS.values()):
        yield IPv4Address(bits & 0xFFFFFFFF)
    if (bits >> 32) & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(bits & 0xFFFFFFFF)


def why_not_public(address: Address) -> str | None:
    """What kind of address this is if it is not a public one, in the registry's words; None if it is."""
    for block in special_blocks():
        if not block.public and address in block.network:
            return block.name
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return "outside of 2000::/3"
    return None

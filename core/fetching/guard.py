"""Turns a URL into IP addresses to which a connection is allowed, or into an error. This module opens no socket."""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Collection, Sequence

import structlog

from core.fetching.addresses import Address, Network, embedded_ipv4, unmapped, why_not_public
from core.fetching.budget import Budget
from core.fetching.urls import Target
from core.item_errors import BlockedAddress, FetchFailed, FetchForbidden

log = structlog.get_logger(__name__)

Resolver = Callable[[str], Sequence[Address]]
"""Returns all IP addresses of a host name, the preferred one first. Raises OSError if there are none."""

_MAX_LOOKUPS = 64
"""Maximum number of simultaneous look-ups. A look-up can hang for much longer than its caller waits for it."""


def system_resolver(host: str) -> Sequence[Address]:
    """Return the answers of this machine's resolver (getaddrinfo)."""
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ipaddress.ip_address(str(answer[4][0])) for answer in answers))


class Guard:
    """Decides which IP addresses and ports may be connected to.

    Args:
        allow: networks that are allowed although they are not public, on any port.
        ports: the allowed ports of all other IP addresses.
        resolver: called once for each connection. The guard checks each of its answers, and only these are used.
    """

    def __init__(self, allow: Sequence[Network], ports: Collection[int], resolver: Resolver) -> None:
        self._allow = tuple(allow)
        self._ports = frozenset(ports)
        self._resolver = resolver
        self._lookup_slots = threading.BoundedSemaphore(_MAX_LOOKUPS)

    def check_without_lookup(self, target: Target) -> None:
        """Refuse a target if no answer of the resolver could make it allowed.

        Raises:
            BlockedAddress, FetchForbidden: see `addresses`.
        """
        if target.address is not None:
            self._judge(target, (unmapped(target.address),))
        elif not self._allow and target.port not in self._ports:
            raise self._wrong_port(target)

    def addresses(self, target: Target, budget: Budget) -> tuple[Address, ...]:
        """Return the checked IP addresses of a target's host. The caller must connect to no others.

        Raises:
            BlockedAddress: one of the IP addresses is not public.
            FetchForbidden: the IP addresses are public, but the port is not allowed.
            FetchFailed, FetchTooSlow: the name could not be resolved.
        """
        answers = (target.address,) if target.address else self._resolved(target.host, budget)
        addresses = tuple(unmapped(address) for address in answers)
        self._judge(target, addresses)
        return addresses

    def _judge(self, target: Target, addresses: Sequence[Address]) -> None:
        for address in addresses:
            kind = self._reason_blocked(address)
            if kind is not None:
                log.info("address blocked", host=target.host, address=str(address), kind=kind)
                # The error does not repeat the IP address behind a name, because it could reveal an internal network.
                actual = f"got {address} ({kind})" if target.address else f"but {target.host} leads to one that is not"
                raise BlockedAddress(f"expected a public IP address, {actual}")
        if target.port not in self._ports and not all(self._allows(address) for address in addresses):
            raise self._wrong_port(target)

    def _wrong_port(self, target: Target) -> FetchForbidden:
        expected = " or ".join(str(port) for port in sorted(self._ports))
        return FetchForbidden(f"expected port {expected}, got {target.port}")

    def _allows(self, address: Address) -> bool:
        return any(address in network for network in self._allow)

    def _reason_blocked(self, address: Address) -> str | None:
        # If the settings allow the block of a translator, the IP addresses behind the translator are still checked.
        for part in (address, *embedded_ipv4(address)):
            kind = None if self._allows(part) else why_not_public(part)
            if kind is not None:
                return kind
        return None

    def _resolved(self, host: str, budget: Budget) -> Sequence[Address]:
        """Return the answers of the resolver. It runs in its own thread, because getaddrinfo has no deadline."""
        answers: queue.SimpleQueue[Sequence[Address] | Exception] = queue.SimpleQueue()
        if not self._lookup_slots.acquire(timeout=budget.seconds_left()):
            raise budget.too_slow()

        def resolve() -> None:
            try:
                answers.put(self._resolver(host))
            except Exception as error:  # noqa: BLE001 - raised below, in the thread that waits
                answers.put(error)
            finally:
                self._lookup_slots.release()

        threading.Thread(target=resolve, name="resolve", daemon=True).start()
        try:
            answer = answers.get(timeout=budget.seconds_left())
        except queue.Empty as error:
            raise budget.too_slow() from error
        if isinstance(answer, OSError):
            raise FetchFailed(f"expected an IP address for {host}, but the name could not be resolved") from answer
        if isinstance(answer, Exception):
            raise answer
        if not answer:
            raise FetchFailed(f"expected an IP address for {host}, but it has none")
        return answer

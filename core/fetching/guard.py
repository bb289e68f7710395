"""From a URL to addresses that may be connected to, or to the reason why not. No socket is opened here."""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Collection, Sequence

import structlog

from core.errors import BlockedAddress, FetchFailed, FetchForbidden
from core.fetching.addresses import Address, Network, carried, unmapped, why_not_public
from core.fetching.budget import Budget
from core.fetching.urls import Target

log = structlog.get_logger(__name__)

Resolver = Callable[[str], Sequence[Address]]
"""All addresses of a host name, the preferred first. Raises OSError when there are none."""

_RESOLVING_AT_ONCE = 64
"""Names that are looked up at a time; a resolver may hang far longer than whoever waits for it."""


def system_resolver(host: str) -> Sequence[Address]:
    """What this machine's resolver says (getaddrinfo)."""
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ipaddress.ip_address(str(answer[4][0])) for answer in answers))


class Guard:
    """Decides where connections may go.

    Args:
        allow: networks whose addresses pass although they are not public, on any port.
        ports: what other addresses may be asked on.
        resolver: asked once for each connection; every one of its answers is checked, and only those are used.
    """

    def __init__(self, allow: Sequence[Network], ports: Collection[int], resolver: Resolver) -> None:
        self._allow = tuple(allow)
        self._ports = frozenset(ports)
        self._resolver = resolver
        self._places = threading.BoundedSemaphore(_RESOLVING_AT_ONCE)

    def check_without_lookup(self, target: Target) -> None:
        """What `addresses` says of a target whose verdict does not depend on what its name leads to.

        Raises:
            BlockedAddress, FetchForbidden: as `addresses`.
        """
        if target.address is not None:
            self._judge(target, (unmapped(target.address),))
        elif not self._allow and target.port not in self._ports:
            raise self._wrong_port(target)

    def addresses(self, target: Target, budget: Budget) -> tuple[Address, ...]:
        """The checked addresses of a target's host, for connecting to these and to nothing else.

        Raises:
            BlockedAddress: one of them is not public.
            FetchForbidden: they are public, but may not be asked on this port.
            FetchFailed, FetchTooSlow: the name was not resolved.
        """
        answers = (target.address,) if target.address else self._resolved(target.host, budget)
        addresses = tuple(unmapped(address) for address in answers)
        self._judge(target, addresses)
        return addresses

    def _judge(self, target: Target, addresses: Sequence[Address]) -> None:
        for address in addresses:
            kind = self._why_not(address)
            if kind is not None:
                log.info("address blocked", host=target.host, address=str(address), kind=kind)
                # What a name leads to is kept from whoever asked: it could be the inside of this network.
                came = f"{address} is not ({kind})" if target.address else f"{target.host} leads to one that is not"
                raise BlockedAddress(f"expected a public address, {came}")
        if target.port not in self._ports and not all(self._allows(address) for address in addresses):
            raise self._wrong_port(target)

    def _wrong_port(self, target: Target) -> FetchForbidden:
        expected = " or ".join(str(port) for port in sorted(self._ports))
        return FetchForbidden(f"expected port {expected}, got {target.port}")

    def _allows(self, address: Address) -> bool:
        return any(address in network for network in self._allow)

    def _why_not(self, address: Address) -> str | None:
        # Allowing a translator's block does not allow every address behind it.
        for part in (address, *carried(address)):
            kind = None if self._allows(part) else why_not_public(part)
            if kind is not None:
                return kind
        return None

    def _resolved(self, host: str, budget: Budget) -> Sequence[Address]:
        """The resolver's answers, in a thread of their own: getaddrinfo has no deadline."""
        answers: queue.SimpleQueue[Sequence[Address] | Exception] = queue.SimpleQueue()
        if not self._places.acquire(timeout=budget.seconds_left()):
            raise budget.too_slow()

        def resolve() -> None:
            try:
                answers.put(self._resolver(host))
            except Exception as error:  # noqa: BLE001 - raised below, in the thread that waits
                answers.put(error)
            finally:
                self._places.release()

        threading.Thread(target=resolve, name="resolve", daemon=True).start()
        try:
            answer = answers.get(timeout=budget.seconds_left())
        except queue.Empty as error:
            raise budget.too_slow() from error
        if isinstance(answer, OSError):
            raise FetchFailed(f"expected an address of {host}, its name was not resolved") from answer
        if isinstance(answer, Exception):
            raise answer
        if not answer:
            raise FetchFailed(f"expected an address of {host}, it has none")
        return answer

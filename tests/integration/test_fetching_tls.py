"""TLS of the fetcher: it checks name and certificate, although it connects to an IP address."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.fetching import Fetcher
from core.fetching.addresses import Address
from core.item_errors import FetchFailed, FetchTooSlow
from tests.integration.fetchers import LOOPBACK, PICTURE, SHORT, fetcher, server
from tests.integration.hostile_server import HostileServer, response
from tests.tls import make_certificate

__all__ = ["fetcher", "server"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a self-signed certificate for shop.example, in one PEM file."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "shop.pem", "shop.example")


class SecureShop:
    """A server behind TLS that records the names that its clients ask for."""

    def __init__(self, certificate: Path) -> None:
        self.names: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self.server = HostileServer(tls=context)
        self.trusting = ssl.create_default_context(cafile=str(certificate))

    def resolver(self, _name: str) -> list[Address]:
        return [ipaddress.ip_address("127.0.0.1")]


@pytest.fixture
def secure(certificate: Path) -> Iterator[SecureShop]:
    shop = SecureShop(certificate)
    with shop.server:
        yield shop


def test_tls_checks_the_hosts_name_although_the_connection_goes_to_an_ip_address(
    secure: SecureShop,
) -> None:
    secure.server.answers["/a.jpg"] = response(PICTURE)
    with Fetcher(allow=[LOOPBACK], resolver=secure.resolver, tls=secure.trusting) as fetcher:
        for _ in range(2):
            assert fetcher.get(f"https://shop.example:{secure.server.port}/a.jpg").body == PICTURE
    assert (secure.names, secure.server.connections) == (["shop.example"], 1)


@pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
def test_a_certificate_for_another_name_is_refused(host: str, secure: SecureShop) -> None:
    with (
        Fetcher(allow=[LOOPBACK], resolver=secure.resolver, tls=secure.trusting) as fetcher,
        pytest.raises(FetchFailed, match="certificate"),
    ):
        fetcher.get(f"https://{host}:{secure.server.port}/")
    assert secure.server.visits == []


def test_a_certificate_of_an_unknown_authority_is_refused(secure: SecureShop) -> None:
    with (
        Fetcher(allow=[LOOPBACK], resolver=secure.resolver) as fetcher,
        pytest.raises(FetchFailed, match="certificate"),
    ):
        fetcher.get(f"https://shop.example:{secure.server.port}/")
    assert secure.server.visits == []


def test_a_handshake_that_never_ends_times_out(server: HostileServer, fetcher: Fetcher) -> None:
    # The server speaks no TLS and waits for the end of a request, while the client waits for the server's handshake.
    with pytest.raises(FetchTooSlow):
        fetcher.get(f"https://127.0.0.1:{server.port}/", limits=SHORT)

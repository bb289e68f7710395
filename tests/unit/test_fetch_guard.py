"""The guard of fetched URLs against the examples in `fetch_vectors.json`.

The interpreter's audit events prove that the guard opens no socket.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.errors import SettingsError
from core.fetching import Fetcher, FetchLimits
from core.fetching.addresses import Address, special_blocks, why_not_public
from core.fetching.urls import parse_url
from core.item_errors import BlockedAddress, FetchForbidden, ItemError
from core.settings import Settings

VECTORS = json.loads(Path(__file__).with_name("fetch_vectors.json").read_text("utf-8"))
PUBLIC = ipaddress.ip_address("8.8.8.8")
_recorded: list[list[str]] = []


def _record_socket_event(event: str, _arguments: object) -> None:
    if _recorded and event.startswith("socket."):
        _recorded[-1].append(event)


sys.addaudithook(_record_socket_event)


@pytest.fixture
def socket_events() -> Iterator[list[str]]:
    """The interpreter's socket events since the test began. Audit hooks cannot be removed, so this one has a switch."""
    _recorded.append([])
    yield _recorded[-1]
    _recorded.clear()


def answering(*addresses: str) -> Fetcher:
    """Return a fetcher whose resolver gives every host these IP addresses."""
    found = [ipaddress.ip_address(address) for address in addresses]
    return Fetcher(resolver=lambda _name: found)


def outcome(url: str, fetcher: Fetcher) -> str:
    """Return the canonical URL or the code of the refusal."""
    try:
        return fetcher.check(url)
    except ItemError as error:
        return error.code


def assert_refused(url: str, error: type[ItemError]) -> None:
    """Check that checking, getting and posting to a URL raise this error."""
    with answering("8.8.8.8") as fetcher:
        for ask in (fetcher.check, fetcher.get, lambda url: fetcher.post(url, b"{}")):
            with pytest.raises(error):
                ask(url)


def test_the_audit_hook_sees_every_socket(socket_events: list[str]) -> None:
    with socket.socket():
        assert socket_events == ["socket.__new__"]


@pytest.mark.parametrize(("url", "what"), VECTORS["blocked"], ids=ascii)
def test_a_url_of_a_private_ip_address_is_refused_in_every_spelling_without_a_socket(
    url: str, what: str, socket_events: list[str]
) -> None:
    assert_refused(url, BlockedAddress)
    assert socket_events == []


@pytest.mark.parametrize(("url", "what"), VECTORS["forbidden"], ids=ascii)
def test_a_url_that_is_no_web_url_is_refused_without_a_socket(url: str, what: str, socket_events: list[str]) -> None:
    assert_refused(url, FetchForbidden)
    assert socket_events == []


@pytest.mark.parametrize(("url", "canonical"), VECTORS["public"], ids=ascii)
def test_a_public_url_passes_and_gets_its_canonical_spelling(url: str, canonical: str) -> None:
    assert outcome(url, answering("8.8.8.8")) == canonical
    assert outcome(canonical, answering("8.8.8.8")) == canonical


def test_ordinary_public_ip_addresses_pass() -> None:
    asked = VECTORS["ordinary_addresses"]
    assert len(set(asked)) >= 100
    assert [
        address for address in asked if outcome("https://shop.example/", answering(address)) == "blocked_address"
    ] == []


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "10.0.0.1"],
        ["10.0.0.1", "8.8.8.8"],
        ["2606:4700:4700::1111", "::1"],
        ["8.8.8.8", "::ffff:169.254.169.254"],
        ["8.8.8.8", "fe80::1%lo"],
        ["2606:4700:4700::1111", "2002:a00:1::"],
    ],
    ids=" ".join,
)
def test_a_host_with_one_private_ip_address_is_refused(answers: list[str], socket_events: list[str]) -> None:
    with answering(*answers) as fetcher, pytest.raises(BlockedAddress) as refusal:
        fetcher.get("http://shop.example/")
    assert socket_events == []
    # The error must not tell strangers which IP addresses hosts of this network have.
    assert not any(answer in refusal.value.detail for answer in answers)


def test_a_literal_ip_address_is_never_resolved() -> None:
    asked: list[str] = []

    def resolver(name: str) -> list[Address]:
        asked.append(name)
        return [PUBLIC]

    with Fetcher(resolver=resolver) as fetcher:
        for url in ("http://8.8.8.8/", "http://134744072/", "http://[2606:4700:4700::1111]/"):
            fetcher.check(url)
        assert asked == []
        fetcher.check("http://SHOP.example./")
        assert asked == ["shop.example"]


@settings(deadline=None)
@given(st.text("0123456789abcdefxX.", min_size=1, max_size=24))
@example("0x7f.1")
@example("0177.0.0.1")
@example("127.0.0.1.")
@example("1.2.3.4.")
@example("4294967295")
def test_numeric_hosts_are_read_as_the_c_library_reads_them_or_refused(text: str) -> None:
    try:
        expected = ipaddress.ip_address(socket.inet_aton(text))
    except OSError:
        expected = None
    try:
        target = parse_url(f"http://{text}/")
    except FetchForbidden:
        return
    if expected is not None:
        assert target.address == expected
    elif target.address is not None:
        # The URL Standard allows a trailing dot, and "0x" for zero.
        assert text.endswith((".", "x", "X")) or "x." in text.lower()
        assert target.host == str(target.address)


@settings(deadline=None)
@given(st.ip_addresses())
def test_ip_addresses_that_python_calls_private_are_never_public(address: Address) -> None:
    if not address.is_global and not (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped):
        assert why_not_public(address) is not None


def test_a_url_can_have_2083_characters() -> None:
    url = "http://shop.example/" + "a" * (2083 - 20)
    assert outcome(url, answering("8.8.8.8")) == url
    assert outcome(url + "a", answering("8.8.8.8")) == "fetch_forbidden"


def test_only_allowed_networks_pass_on_any_port() -> None:
    allow = [ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("64:ff9b::/96")]
    fetcher = Fetcher(allow=allow, resolver=lambda _name: [ipaddress.ip_address("10.1.2.3")])
    assert outcome("http://10.1.2.3:9000/hook", fetcher) == "http://10.1.2.3:9000/hook"
    assert outcome("http://[::ffff:10.1.2.3]:9000/hook", fetcher) == "http://10.1.2.3:9000/hook"
    assert outcome("http://hooks.internal:9000/hook", fetcher) == "http://hooks.internal:9000/hook"
    assert outcome("http://10.2.0.1/", fetcher) == "blocked_address"
    assert outcome("http://8.8.8.8:9000/", fetcher) == "fetch_forbidden"
    # The block of the NAT64 translator is allowed, but the IPv4 address inside is still checked.
    assert outcome("http://[64:ff9b::8.8.8.8]/", fetcher) == "http://[64:ff9b::808:808]/"
    assert outcome("http://[64:ff9b::10.2.0.1]/", fetcher) == "blocked_address"


def test_a_host_inside_and_outside_of_allowed_networks_is_limited_to_the_usual_ports() -> None:
    fetcher = Fetcher(
        allow=[ipaddress.ip_network("10.1.0.0/16")],
        resolver=lambda _name: [ipaddress.ip_address("10.1.2.3"), PUBLIC],
    )
    assert outcome("http://both.example/", fetcher) == "http://both.example/"
    assert outcome("http://both.example:9000/", fetcher) == "fetch_forbidden"


def test_a_host_without_ip_addresses_is_not_fetched() -> None:
    def resolver(_name: str) -> list[Address]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert outcome("http://shop.example/", Fetcher(resolver=resolver)) == "fetch_failed"
    assert outcome("http://shop.example/", answering()) == "fetch_failed"


def test_a_hanging_resolver_times_out() -> None:
    test_ended = threading.Event()

    def resolver(_name: str) -> list[Address]:
        test_ended.wait()
        return [PUBLIC]

    try:
        fetcher = Fetcher(resolver=resolver, limits=FetchLimits(seconds=0.1))
        assert outcome("http://shop.example/", fetcher) == "fetch_too_slow"
    finally:
        test_ended.set()


def test_the_table_of_special_ip_addresses_is_complete() -> None:
    blocks = special_blocks()
    networks = [block.network for block in blocks]
    assert len(set(networks)) == len(networks)
    assert all(block.name for block in blocks)
    for needed in ("224.0.0.0/4", "ff00::/8", "2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48", "3fff::/20"):
        assert ipaddress.ip_network(needed) in networks


def test_allowed_networks_are_read_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.read().fetch_allow == ()
    monkeypatch.setenv("LOOKBOOK_FETCH_ALLOW", "127.0.0.0/8, fd00:1::/64,")
    read = Settings.read()
    assert [str(network) for network in read.fetch_allow] == ["127.0.0.0/8", "fd00:1::/64"]
    assert read.with_changes(port=8001).fetch_allow == read.fetch_allow


@pytest.mark.parametrize("value", ["localhost", "10.0.0.1/8", "127.0.0.0/33", "*"])
def test_an_invalid_network_in_the_settings_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_FETCH_ALLOW", value)
    with pytest.raises(SettingsError, match="LOOKBOOK_FETCH_ALLOW"):
        Settings.read()

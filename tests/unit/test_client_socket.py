"""The socket of a client: it waits as long as the rate of the client allows, and others run meanwhile."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from api.connections import client_socket
from api.connections.client_socket import ClientSocket, ClientTooSlow
from api.connections.clients import Clients
from api.connections.turns import Turns

MORE_THAN_BUFFERS = 16 * 2**20


@pytest.fixture
def turns() -> Turns:
    return Turns(1)


@pytest.fixture
def pair(turns: Turns) -> Iterator[tuple[ClientSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with theirs, ClientSocket(ours, "10.0.0.1", turns, lambda _: None) as client:
        client.setblocking(True)
        yield client, theirs


@contextmanager
def made_clients(
    addresses: list[str], turns: Turns, clients: Clients
) -> Iterator[tuple[list[ClientSocket], list[socket.socket]]]:
    """Make a connection for each address. Return our sides and the other sides."""
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in addresses]
        made = [
            stack.enter_context(ClientSocket(ours, address, turns, clients.remove))
            for (ours, _), address in zip(pairs, addresses, strict=True)
        ]
        yield made, [stack.enter_context(theirs) for _, theirs in pairs]


def is_ended(other: socket.socket) -> bool:
    try:
        return other.recv(1, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False


def test_a_head_is_read_ahead_until_it_is_complete(pair: tuple[ClientSocket, socket.socket]) -> None:
    client, theirs = pair
    assert not client.read_head()
    theirs.sendall(b"GET / HTTP/1.1\r\n")
    assert (client.read_head(), client.began_head) == (False, True)
    theirs.sendall(b"\r\nmore")
    assert client.read_head()
    assert (client.recv(3), client.recv(100)) == (b"GET", b" / HTTP/1.1\r\n\r\nmore")
    theirs.sendall(b"x" * (client_socket.MAX_HEAD_BYTES + 1))
    while not client.read_head():
        pass
    assert len(client.recv(10**6)) > client_socket.MAX_HEAD_BYTES


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        (b"Content-Length: 3", [b"ab", b"c"]),
        (b"CONTENT-LENGTH:\t5000 ", [b"x" * 4000, b"x" * 96]),
        (b"Transfer-Encoding: chunked", [b"2\r\nab\r\n", b"0\r\n\r\n"]),
        (b"Transfer-Encoding: chunked", [b"2000\r\n", b"x" * 4090]),
    ],
)
def test_the_start_of_a_body_is_read_ahead(
    pair: tuple[ClientSocket, socket.socket], header: bytes, parts: list[bytes]
) -> None:
    client, theirs = pair
    theirs.sendall(b"POST / HTTP/1.1\r\n" + header + b"\r\n\r\n")
    assert not client.read_head()
    for part in parts[:-1]:
        theirs.sendall(part)
        assert not client.read_head()
    theirs.sendall(parts[-1])
    assert client.read_head()


def test_a_client_that_waits_for_100_continue_is_not_waited_for(pair: tuple[ClientSocket, socket.socket]) -> None:
    client, theirs = pair
    theirs.sendall(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
    assert client.read_head()


def test_the_end_of_a_connection_ends_a_head(pair: tuple[ClientSocket, socket.socket]) -> None:
    client, theirs = pair
    theirs.close()
    assert (client.read_head(), client.recv(1)) == (True, b"")


def test_a_waiting_thread_lends_its_turn(pair: tuple[ClientSocket, socket.socket], turns: Turns) -> None:
    client, theirs = pair

    def answer() -> None:
        with turns.taken():
            theirs.sendall(b"x")

    with turns.taken():
        other = threading.Thread(target=answer)
        other.start()
        assert client.recv(1) == b"x"
        other.join()


def test_a_client_that_sends_nothing_is_too_slow(
    pair: tuple[ClientSocket, socket.socket], turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_socket, "PATIENCE_SECONDS", 0.01)
    client, _ = pair
    with turns.taken(), pytest.raises(ClientTooSlow):
        client.recv(1)


def test_a_client_that_receives_nothing_is_too_slow(
    pair: tuple[ClientSocket, socket.socket], turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_socket, "SILENCE_SECONDS", 0.01)
    client, _ = pair
    with turns.taken(), pytest.raises(ClientTooSlow):
        client.sendall(bytes(MORE_THAN_BUFFERS))


def test_bytes_that_came_allow_more_waiting(
    pair: tuple[ClientSocket, socket.socket], turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_socket, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(client_socket, "BYTES_PER_SECOND", 0.001)
    client, theirs = pair
    theirs.sendall(b"x")
    with turns.taken():
        client.recv(1)
        later = threading.Thread(target=theirs.sendall, args=(b"y",))
        later.start()
        assert client.recv(1) == b"y"
        later.join()


def test_one_connection_too_many_ends_the_slowest_of_its_address(turns: Turns) -> None:
    clients = Clients(per_address=2, maximum=100)
    with made_clients(["10.0.0.2", "10.0.0.1", "10.0.0.1", "10.0.0.1"], turns, clients) as (made, others):
        for client in made:
            # The first two have waited longest, and only the second one is of the address with too many.
            client.begin_head()
            clients.add(client, open_connections=4)
        assert [is_ended(other) for other in others] == [False, True, False, False]
        clients.end_all()
        assert all(map(is_ended, others))


def test_one_connection_too_many_in_the_process_ends_the_slowest_of_all(turns: Turns) -> None:
    clients = Clients(per_address=100, maximum=2)
    with made_clients(["10.0.0.1", "10.0.0.2"], turns, clients) as (made, others):
        for number, client in enumerate(made):
            client.begin_head()
            clients.add(client, open_connections=number)
        assert [is_ended(other) for other in others] == [True, False]


def test_an_idle_connection_ends_before_one_whose_request_runs(turns: Turns) -> None:
    clients = Clients(per_address=2, maximum=100)
    with made_clients(["10.0.0.1"] * 3, turns, clients) as (made, others):
        clients.add(made[0], 0)
        clients.add(made[1], 1)
        made[1].begin_idle()
        clients.add(made[2], 2)
        assert [is_ended(other) for other in others] == [False, True, False]


def test_an_idle_connection_knows_that_its_next_request_has_arrived(pair: tuple[ClientSocket, socket.socket]) -> None:
    client, theirs = pair
    client.begin_idle()
    assert not client.has_request()
    theirs.sendall(b"G")
    assert client.has_request()

"""gunicorn's worker with threads, changed so that a slow client costs no more than its connection.

- The main loop reads the head of a request and the start of its body without a thread.
- A thread that waits for a client lends its turn (api/connections/turns.py), so that others go on.
- Slow clients are cut off, and so is the slowest one when there are too many connections.
"""

from __future__ import annotations

import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from itertools import takewhile
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from api.connections.client_socket import PATIENCE_SECONDS, ClientSocket
from api.connections.clients import Clients
from api.connections.refusals import REQUEST_TIMEOUT, raw_refusal, refusal_of
from api.connections.turns import Turns
from core.metrics import count_request

MAX_CONNECTIONS = 2000
"""Connections of one process. Each may need a thread, which costs about 30 kB of memory while it waits."""


class Worker(ThreadWorker):  # type: ignore[misc]
    """One process of the API."""

    address_connections = MAX_CONNECTIONS
    """Connections that one IP address may have with a process. The server sets it from the settings."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turns = Turns(self.cfg.threads)
        self._clients = Clients(self.address_connections, self.worker_connections)

    def get_thread_pool(self) -> ThreadPoolExecutor:
        # Turns bound the requests that run. Further threads only wait for their clients.
        return ThreadPoolExecutor(max_workers=self.worker_connections)

    def accept(self, listener: socket.socket) -> None:
        try:
            accepted, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        client = ClientSocket(accepted, address[0] if address else "", self._turns, self._clients.remove)
        self._clients.add(client, self.nr_conns)
        self.nr_conns += 1
        self._read_head(TConn(self.cfg, client, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: TConn, client: ClientSocket) -> None:
        """Read the next request of a connection that was kept open."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._read_head(conn)

    def on_pending_socket_readable(self, conn: TConn, client: ClientSocket) -> None:
        """Read more of a head. A thread takes over when it is complete."""
        if client.read_head():
            super().on_pending_socket_readable(conn, client)

    def _read_head(self, conn: TConn) -> None:
        conn.data_ready = True
        conn.sock.begin_head()
        if conn.sock.read_head():
            self.enqueue_req(conn)
            return
        conn.timeout = time.monotonic() + PATIENCE_SECONDS
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def murder_pending(self) -> None:
        """Close the connections whose heads are late."""
        now = time.monotonic()
        while self.pending_conns and self.pending_conns[0].timeout <= now:
            conn = self.pending_conns.popleft()
            self.poller.unregister(conn.sock)
            if conn.sock.began_head:
                with suppress(OSError):
                    conn.sock.send(raw_refusal(REQUEST_TIMEOUT))
            self.nr_conns -= 1
            conn.close()

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        super().finish_request(conn, fs)
        is_kept = bool(self.keepalived_conns) and self.keepalived_conns[-1] is conn
        if is_kept and conn.sock.began_head:
            # The next request came together with the last one, so the socket will not become readable for it.
            self.on_client_socket_readable(conn, conn.sock)
        elif is_kept:
            conn.sock.begin_idle()

    def murder_keepalived(self, force: bool = False) -> None:
        """Close the connections that were idle for too long, but not one whose next request has just arrived."""
        now = time.monotonic()
        # They are in the order of their timeouts.
        late = takewhile(lambda conn: not force and conn.timeout <= now, self.keepalived_conns)
        for conn in list(late):
            if conn.sock.has_request():
                self.on_client_socket_readable(conn, conn.sock)
        super().murder_keepalived(force)

    def run(self) -> None:
        super().run()
        # The process ends when its threads have ended. Threads that still wait for a client must not delay that.
        self._clients.end_all()

    def handle(self, conn: TConn) -> Any:
        with self._turns.taken():
            again = super().handle(conn)
            if not again:
                # gunicorn closes a connection in its main loop. It waits there until the client closes its side, and
                # reads no more than 64 KiB.
                conn.sock.linger()
                conn.close()
            return again

    def handle_error(self, req: Any, client: ClientSocket, addr: Any, exc: Exception) -> None:
        """Answer a request that gunicorn cannot read with problem details in place of its HTML."""
        refusal = refusal_of(exc)
        if refusal.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log.error("Cannot handle a request: %r", exc, exc_info=exc)
        else:
            self.log.info("Refused a request from %s: %s", addr[0] if addr else "a socket", exc)
        count_request(None, None, refusal.status, 0.0)
        with suppress(OSError):
            client.sendall(raw_refusal(refusal))

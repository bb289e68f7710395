"""The gunicorn server that runs the API."""

from __future__ import annotations

import resource
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.http.unreader import SocketUnreader

from api.app import create_app
from api.connections.body import RequestBody
from api.connections.log import Log
from api.connections.turns import TURNS
from api.connections.worker import MAX_CONNECTIONS, Worker
from api.exposure import check_exposure
from api.intake.forms import BLOCK
from api.services import EXTENSION
from broker.metrics import MetricsSender
from broker.servers import check_servers
from core.allocation import freeze_heap
from core.logs import configure_logging
from core.settings import Settings
from core.tracing import start_tracing

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

STOP_SECONDS = 10
"""How long running requests may still take after the server was asked to stop."""
IDLE_SECONDS = 75
"""How long a connection may be idle between two requests (nginx: keepalive_timeout).

It is longer than clients and load balancers keep their idle connections (httpx 5 s, AWS 60 s). Otherwise a client may
send a request at the moment in which the server closes the connection.
"""


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, configured by `Settings` instead of a file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metrics: MetricsSender | None = None
        super().__init__()

    def load_config(self) -> None:
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        options: dict[str, Any] = {
            "bind": f"{host}:{self._settings.port}",
            "worker_class": Worker,
            "workers": self._settings.api_processes,
            "threads": self._settings.api_threads,
            "graceful_timeout": STOP_SECONDS,
            "timeout": 120,
            "keepalive": IDLE_SECONDS,
            "worker_connections": _connections(),
            # Its path would be in the user's home, and the same for every installation.
            "control_socket_disable": True,
            "proc_name": "lookbook-api",
            # LOOKBOOK_PROXIES decides which proxies are trusted; gunicorn must not trust any on its own.
            "forwarded_allow_ips": "",
            "logger_class": Log,
            "worker_exit": lambda _, __: self._stop(),
        }
        # A trusted proxy has the connections of all its clients.
        Worker.address_connections = MAX_CONNECTIONS if self._settings.proxies else self._settings.address_connections
        for name, value in options.items():
            self.cfg.set(name, value)

    def _stop(self) -> None:
        """End a process of the server. The first one, which forks the others, has no metrics to send."""
        if self._metrics is not None:
            self._metrics.stop()

    def load(self) -> WSGIApplication:
        # gunicorn copies every byte that it reads ahead, on each call. Reading a block at a time keeps that copy small.
        SocketUnreader.max_body_chunk = BLOCK
        app = create_app(self._settings)
        start_tracing(self._settings.traces, "api")
        self._metrics = MetricsSender(app.extensions[EXTENSION].broker, "api")
        self._metrics.start()
        adapted = _adapted(app)
        freeze_heap()
        return adapted


def _connections() -> int:
    """Return the number of connections that a process may have. Raise its limit of open files for that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MAX_CONNECTIONS
    files = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    # The other half is for files, the database and Redis.
    return min(MAX_CONNECTIONS, files // 2)


def _adapted(app: WSGIApplication) -> WSGIApplication:
    """Return `app` with the differences between gunicorn and what the application expects removed.

    gunicorn drops `Connection: close` from answers, because WSGI (PEP 3333) forbids applications to send it. And it
    takes the end of the connection for the end of a body.
    """

    def call_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        length = None if "HTTP_TRANSFER_ENCODING" in environ else int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = RequestBody(environ["wsgi.input"], length)
        environ[TURNS] = environ["gunicorn.socket"].turns

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            if ("Connection", "close") in headers:
                start_response.__self__.force_close()  # type: ignore[attr-defined]
            return start_response(status, headers, *rest)

        return app(environ, start)

    return call_app


def serve(settings: Settings) -> None:
    """Run the API until the process is asked to stop."""
    check_exposure(settings)
    configure_logging(settings.log_level, "api")
    check_servers(settings)
    # Forked processes share this memory until something writes to it. Frozen objects are not touched by the collector.
    freeze_heap()
    Server(settings).run()

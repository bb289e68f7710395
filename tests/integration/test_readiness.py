"""`/readyz` names the parts that are missing, also while they accept connections and never answer."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from api import readiness
from broker.client import Heartbeat
from core.messages import Queue
from core.settings import Settings
from tests.conftest import S3_ENVIRONMENT, RunningRedis
from tests.integration.apps import body_of, prepare, services_of, serving


class Listener(NamedTuple):
    """A server that accepts connections and never answers."""

    socket: socket.socket

    @property
    def address(self) -> str:
        return "{}:{}".format(*self.socket.getsockname())

    def still_asked(self) -> bool:
        """Return whether a client that has sent its question is connected and waits for the answer."""
        self.socket.settimeout(10)
        client, _ = self.socket.accept()
        with client:
            assert client.recv(10)
            client.setblocking(False)
            while True:
                try:
                    if not client.recv(10_000):
                        return False
                except BlockingIOError:
                    return True


@pytest.fixture
def listener() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield Listener(opened)


@contextmanager
def answers(settings: Settings) -> Iterator[Callable[[], list[str]]]:
    """Provide a function that returns what is missing."""
    with serving(settings) as app:
        yield lambda: list(body_of(app.test_client().get("/readyz"))["missing"])


def test_a_hanging_database_is_named_while_it_hangs(settings: Settings, listener: Listener) -> None:
    hanging = settings.with_changes(database_url=f"postgresql+psycopg://x@{listener.address}/x?sslmode=disable")
    with answers(hanging) as missing:
        assert missing() == ["database", "broker", "worker", "beat"]
        # The check of the first answer still waits, and the second answer starts no other.
        assert missing()[0] == "database"
        assert listener.still_asked()
        listener.socket.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.socket.accept()


def test_a_hanging_blob_store_is_named_while_it_hangs(
    settings: Settings, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (S3_ENVIRONMENT | {"AWS_ENDPOINT_URL": f"http://{listener.address}"}).items():
        monkeypatch.setenv(name, value)
    prepare(settings)
    with answers(settings.with_changes(blobs="s3://pictures")) as missing:
        assert missing() == ["blobs", "broker", "worker", "beat"]
        assert listener.still_asked()


def test_a_hanging_broker_is_named_and_nothing_is_known_about_its_workers(
    settings: Settings, listener: Listener
) -> None:
    prepare(settings)
    with answers(settings.with_changes(redis_url=f"redis://{listener.address}/0")) as missing:
        assert missing() == ["broker", "worker", "beat"]


def test_beat_a_worker_and_free_disk_space_are_needed(
    settings: Settings, redis: RunningRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(settings)
    with serving(settings.with_changes(redis_url=redis.url)) as app:
        broker, client = services_of(app).broker, app.test_client()
        assert body_of(client.get("/readyz"))["missing"] == ["worker", "beat"]
        broker.send_heartbeat(Heartbeat("wrk_1@here-1", [Queue.INTERACTIVE.value], "null", "CPU", "f32", []))
        assert body_of(client.get("/readyz"))["missing"] == ["beat"]
        broker.send_beat()
        assert client.get("/readyz").status_code == 200
        free = shutil.disk_usage(settings.home).free
        monkeypatch.setattr(readiness, "MIN_FREE_BYTES", free * 2)
        answer = client.get("/readyz")
        assert (answer.status_code, body_of(answer)["missing"]) == (503, ["disk"])

"""The running service over HTTP."""

from __future__ import annotations

import base64
import io
import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import redis
from PIL import Image

from broker.envelope import envelope
from broker.transport import DEAD_LETTERS, MAX_DEAD_LETTERS
from classifier.artifact import list_artifacts
from classifier.prepare import prepare
from classifier.runtimes import open_runtime
from core.clock import utc_now
from core.item_errors import TooLarge
from core.messages import ChunkMessage, Queue
from core.settings import PROJECT, Settings
from db import model_versions
from db.database import Database
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob
from db.tables import JobSource
from samples import broken
from tests.conftest import SAMPLES, RunningService, find_process, until

RED = SAMPLES / "t-shirt-red.jpg"


def classify(http: httpx.Client, data: bytes, **form: str) -> httpx.Response:
    return http.post("/v1/classifications", files={"image": ("photo", data)}, data=form)


def test_the_connection_closes_after_a_refusal_that_left_the_body_unread(http: httpx.Client) -> None:
    for _ in range(5):
        refused = http.post("/v1/jobs", content=b"x" * 200_000, headers={"Content-Type": "image/jpeg"})
        assert (refused.status_code, refused.headers["Connection"]) == (415, "close")
        assert http.get("/healthz").status_code == 200


def test_the_service_is_ready_and_describes_its_workers(http: httpx.Client) -> None:
    body = http.get("/readyz").json()
    assert body["ready"]
    classifying = next(worker for worker in body["workers"] if "interactive" in worker["queues"])
    assert (classifying["runtime"], classifying["precision"]) == ("openvino", "f32")
    assert classifying["models"] == [http.get("/v1/labels").json()["model"]]


@pytest.mark.parametrize("path", sorted(SAMPLES.iterdir()), ids=lambda path: path.name)
def test_every_format_is_classified_as_without_the_service(http: httpx.Client, path: Path) -> None:
    answer = classify(http, path.read_bytes(), top_k="10")
    assert answer.status_code == 200, answer.text
    artifact = list_artifacts(PROJECT / "models")[-1]
    runtime = open_runtime(artifact, "openvino")
    scores = runtime.infer(prepare(path.read_bytes(), artifact.input).pixels[None]).scores[0]
    runtime.close()
    served = {row["id"]: row["score"] for row in answer.json()["prediction"]["labels"]}
    for label, score in zip(artifact.taxonomy.label_ids, scores, strict=True):
        assert served[label] == pytest.approx(float(score), abs=1e-4)


def test_a_raw_body_gives_the_same_prediction_as_a_form(http: httpx.Client) -> None:
    form = classify(http, RED.read_bytes()).json()
    raw = http.post("/v1/classifications?top_k=2", content=RED.read_bytes(), headers={"Content-Type": "image/jpeg"})
    assert raw.status_code == 200
    assert raw.json()["prediction"]["label"] == form["prediction"]["label"]
    assert raw.json()["prediction"]["reused"]
    assert len(raw.json()["prediction"]["labels"]) == 2


def test_a_crop_has_its_own_prediction(http: httpx.Client) -> None:
    crop = {"x": 100, "y": 200, "width": 500, "height": 300}
    whole = classify(http, RED.read_bytes()).json()
    part = classify(http, RED.read_bytes(), crop=json.dumps(crop)).json()
    assert part["crop"] == crop
    assert part["prediction"]["confidence"] != whole["prediction"]["confidence"]


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (broken.text(), 415, "not_an_image"),
        (broken.svg(), 415, "unsupported_format"),
        (broken.truncated_jpeg(), 422, "truncated_image"),
        (broken.huge_png(), 422, "too_many_pixels"),
        (b"x" * (20 * 2**20 + 1), 413, "too_large"),
    ],
)
def test_a_bad_picture_is_answered_with_the_error_of_its_item(
    http: httpx.Client, data: bytes, status: int, code: str
) -> None:
    answer = classify(http, data)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_crop_outside_the_picture_is_answered_with_422(http: httpx.Client) -> None:
    answer = classify(http, RED.read_bytes(), crop='{"x": 800, "y": 0, "width": 200, "height": 10}')
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_crop")
    assert "900 x 1200" in answer.json()["detail"]


def test_prefer_wait_is_applied_and_confirmed(http: httpx.Client) -> None:
    answer = http.post("/v1/jobs", files=[("images", ("a.jpg", RED.read_bytes()))], headers={"Prefer": "wait=20"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=20")
    assert answer.json()["status"] == "completed"


def test_a_classified_picture_has_a_thumbnail_and_its_original(http: httpx.Client) -> None:
    image = classify(http, RED.read_bytes()).json()["image"]
    assert (image["width"], image["height"], image["format"]) == (900, 1200, "jpeg")
    for _ in range(2):
        thumbnail = http.get(image["thumbnail"])
        with Image.open(io.BytesIO(thumbnail.content)) as small:
            assert (small.format, small.size) == ("JPEG", (240, 320))
    original = http.get(image["original"])
    assert original.content == RED.read_bytes()
    assert original.headers["Content-Type"] == "image/jpeg"


def test_a_job_keeps_the_order_of_its_pictures_and_its_counts_add_up(http: httpx.Client) -> None:
    paths = sorted(SAMPLES.iterdir())
    files = [("images", (path.name, path.read_bytes())) for path in paths] + [("images", ("bad.jpg", broken.text()))]
    job = http.post("/v1/jobs", files=files, data={"name": "samples", "metadata": '{"season": "autumn"}'}).json()
    while job["status"] not in {"completed", "failed", "canceled"}:
        counts = job["counts"]
        assert counts["total"] == counts["pending"] + counts["succeeded"] + counts["failed"] + counts["canceled"]
        job = http.get(job["links"]["self"]).json()
    assert (job["counts"]["succeeded"], job["counts"]["failed"], job["metadata"]) == (26, 1, {"season": "autumn"})
    items = http.get(job["links"]["items"], params={"limit": 200}).json()["data"]
    assert [item["source"]["name"] for item in items] == [*(path.name for path in paths), "bad.jpg"]
    summary = http.get(job["links"]["summary"]).json()
    assert sum(row["count"] for row in summary["labels"]) == 26
    assert sum(row["count"] for row in summary["groups"]) == 26
    assert summary["errors"] == [{"code": "not_an_image", "count": 1, "retryable": 0}]
    label = summary["labels"][0]
    filtered = http.get(job["links"]["items"], params={"label": label["id"], "limit": 200}).json()["data"]
    assert len(filtered) == label["count"]


def test_an_upload_leaves_nothing_in_the_temporary_folder(http: httpx.Client, service: RunningService) -> None:
    classify(http, RED.read_bytes())
    assert list((service.home / "blobs" / "tmp").iterdir()) == []


def test_an_explanation_is_a_heat_map_in_the_shape_of_the_picture(http: httpx.Client) -> None:
    item = classify(http, (SAMPLES / "dress-green.jpg").read_bytes()).json()
    answer = http.get(item["image"]["explanation"])
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert http.get(item["image"]["explanation"], headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    with Image.open(io.BytesIO(answer.content)) as heat:
        assert heat.mode == "RGBA"
        assert max(heat.size) == min(320, max(item["image"]["width"], item["image"]["height"]))
        assert abs(heat.width / heat.height - item["image"]["width"] / item["image"]["height"]) < 0.02
        assert np.asarray(heat.getchannel("A")).max() > 100
    assert http.get(item["image"]["explanation"]).content == answer.content


def test_the_explanation_of_a_crop_covers_only_the_crop(http: httpx.Client) -> None:
    crop = {"x": 50, "y": 60, "width": 100, "height": 90}
    item = classify(http, (SAMPLES / "dress-green.jpg").read_bytes(), crop=json.dumps(crop)).json()
    with Image.open(io.BytesIO(http.get(item["image"]["explanation"]).content)) as heat:
        scale = heat.width / item["image"]["width"]
        box = heat.getchannel("A").getbbox()
    assert box is not None
    left, top, right, bottom = box
    assert left >= 50 * scale - 1
    assert top >= 60 * scale - 1
    assert right <= 150 * scale + 1
    assert bottom <= 150 * scale + 1


def test_a_failed_item_has_no_explanation(http: httpx.Client) -> None:
    job = http.post("/v1/jobs", files={"images": ("cut.jpg", broken.truncated_jpeg())}, headers={"Prefer": "wait=20"})
    item = http.get(job.json()["links"]["items"]).json()["data"][0]
    assert item["image"]["explanation"] is None
    refused = http.get(f"/v1/items/{item['id']}/explanation")
    assert (refused.status_code, refused.json()["code"]) == (404, "no_explanation")


def test_twenty_concurrent_clients_are_all_served(service: RunningService) -> None:
    def run_client(number: int) -> list[str]:
        answers = []
        with httpx.Client(base_url=service.url, timeout=60.0, trust_env=False) as client:
            for turn in range(5):
                data = io.BytesIO()
                Image.new("RGB", (40, 40), (number * 10, turn * 40, 90)).save(data, "PNG")
                files = [("images", ("a.png", data.getvalue())), ("images", ("b.png", data.getvalue()))]
                posted = client.post("/v1/jobs", files=files, headers={"Prefer": "wait=30"})
                answers.append(f"{posted.status_code} {posted.json().get('status', posted.text)}")
                answers.append(str(client.get("/v1/jobs").status_code))
                answers.append(str(client.delete(posted.json()["links"]["self"]).status_code))
        return answers

    with ThreadPoolExecutor(20) as pool:
        answers = [answer for of_client in pool.map(run_client, range(20)) for answer in of_client]
    assert Counter(answers) == {"200 completed": 100, "200": 100, "204": 100}


def test_an_export_that_breaks_halfway_raises_a_protocol_error(service: RunningService, http: httpx.Client) -> None:
    # The export is larger than the buffers between the server and a client that does not read.
    refused = [NewItem(f"{n}.jpg".rjust(1000, "a"), None, error=TooLarge()) for n in range(40_000)]
    database = Database(Settings(home=service.home).resolved_database_url)
    with database.writing() as session:
        version = model_versions.resolve(session, model_versions.PRODUCTION)
        job = submitting.create(session, NewJob("long", JobSource.UPLOADS, version), refused, utc_now())
    database.close()
    path = f"/v1/jobs/{job.id}"
    with http.stream("GET", f"{path}/export?format=jsonl") as answer:
        pieces = answer.iter_raw()
        next(pieces)
        assert http.delete(path).status_code == 204
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)


def malformed_messages() -> list[bytes]:
    """Return messages that are no JSON, that are other JSON, and a real one with each of its members spoiled."""
    messages = [b"hello not json", b"5", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b'"\\ud800"', b"1e999"]
    real = json.loads(envelope(ChunkMessage("chk_unknown", "job_unknown", Queue.BULK)))
    places = [(real, name) for name in real] + [
        (real[part], name) for part in ("headers", "properties") for name in real[part]
    ]
    places += [(real["properties"]["delivery_info"], name) for name in real["properties"]["delivery_info"]]
    wrongs: list[Any] = [None, 5, [], {}, "x"]
    bodies: list[Any] = [[], [[], {}], [5, 5, 5], [[], {"chunk_id": 5}, None]]
    for members, name in places:
        right = members.pop(name)
        messages.append(json.dumps(real).encode())
        for wrong in wrongs:
            members[name] = wrong
            messages.append(json.dumps(real).encode())
        members[name] = right
    for arguments in bodies:
        real["body"] = base64.b64encode(json.dumps(arguments).encode()).decode()
        messages.append(json.dumps(real).encode())
    return messages


def test_malformed_messages_are_set_aside_and_end_no_worker(service: RunningService, http: httpx.Client) -> None:
    worker, redis_server = find_process(service, "worker"), find_process(service, "redis")
    socket = re.search(r"unixsocket:(\S+)", " ".join(redis_server.cmdline()))
    assert socket is not None
    messages = malformed_messages()
    with redis.Redis(unix_socket_path=socket[1]) as connection:
        connection.lpush(Queue.BULK.value, *messages)
        connection.lpush(Queue.INTERACTIVE.value, *messages)
        until(lambda: not connection.llen(Queue.BULK.value) and not connection.llen(Queue.INTERACTIVE.value))
        assert connection.llen(DEAD_LETTERS) <= MAX_DEAD_LETTERS
        kept = {bytes(letter) for letter in connection.lrange(DEAD_LETTERS, 0, -1)}
    assert {b"hello not json", b"5", b"null", b"[]", b"{}"} <= kept
    assert classify(http, (SAMPLES / "coat-camel.jpg").read_bytes()).json()["status"] == "succeeded"
    assert worker.is_running()
    counted = re.search(r"^lookbook_dead_letters_total (\S+)", http.get("/metrics").text, re.MULTILINE)
    assert counted is not None
    assert float(counted[1]) >= 2 * len(kept)
